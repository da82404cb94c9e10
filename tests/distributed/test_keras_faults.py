"""What would part the ranks of a plain Keras script, or hang them, is an error that says what to do."""

from pathlib import Path

import pytest

from tests.distributed.launching import launch, program

pytestmark = [pytest.mark.distributed, pytest.mark.slow]

# Case -> what every rank says.
FOUND = {
    "plain_after_loading": "UserError: 2 ranks train with a plain Adam, which would leave every rank a model",
    "plain_after_loading_without_callbacks": "UserError: 2 ranks train with a plain Adam, which would leave every rank",
    "wrapped_after_loading": "no error",
    "plain_in_gan": "UserError: 2 ranks train with a plain Adam, which would leave",
    "unasked_in_gan": "UserError: 2 ranks train with a plain RMSprop, which would leave",
    "without_broadcast": "UserError: 2 ranks begin to train without one state; put tfdl.distributed.BroadcastState()",
    "other_model": "UserError: the ranks' models differ: rank 0 has (3, 4) float32",
    "eager_and_unbuilt": "UserError: the first step has built layers of sequential",
    "unequal_pydataset": "UserError: the ranks have different numbers of steps in an epoch (rank 0 has 3, rank 1",
    "in_mixed_precision": "no error",
    "eagerly": "no error",
    "xla_asked_for": "no error",
    "xla_as_keras_chooses_on_a_gpu": "no error",
    "an_optimizer_for_each_layer": "no error",
    "draws_of_its_own": "no error",
    "xla_all_the_same": "RunError: XLA refuses HorovodAllreduce",
    "unequal_batches": "RunError: the ranks' batches are not equally large: rank 0 had 16, rank 1 had 20 samples",
    "local_plateau": "RunError: the ranks' learning rates differ: rank 0 has 0.1, rank 1 has 0.05;",
    "stops_alone_after_an_epoch": "RunError: the ranks went different ways: rank 0 begins epoch 2, rank 1 ends;",
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """What each rank said of each case, from one job."""
    job = launch(2, *program("keras_faults"), str(tmp_path_factory.mktemp("saved")), *FOUND)
    assert job.code == 0, job.output
    return [dict(line.split(": ", 1) for line in job.lines_of(rank) if ": " in line) for rank in range(2)]


@pytest.mark.parametrize("case", FOUND)
def test_all_ranks_say_what_is_wrong(said: list[dict[str, str]], case: str) -> None:
    for rank in said:
        assert rank[case].startswith(FOUND[case])


@pytest.mark.parametrize(
    ("case", "where"),
    [
        ("stops_alone_in_an_epoch", "ended epoch 1 after 2 steps"),
        ("runs_out_of_data_with_several_steps_a_call", "come to step 6"),  # as Keras counts, three by three
        ("runs_out_of_data_with_synchronized_statistics", "ended epoch 1 after 5 steps"),
    ],
)
def test_a_rank_that_ends_its_epoch_before_the_others_ends_the_job(tmp_path: Path, case: str, where: str) -> None:
    """Nothing could have told before: the data sets hide their lengths, one rank's callback decides alone."""
    job = launch(2, *program("keras_faults"), str(tmp_path), case)
    assert job.code != 0
    (line,) = [line for line in job.lines_of(1) if line.startswith(case)]
    assert f"rank 1 has {where}, and another rank goes on training" in line
