"""Mistakes that would make the ranks of a plain Keras script diverge or hang are errors that state the fix."""

from pathlib import Path

import pytest

from tests.distributed.launching import launch, program

pytestmark = [pytest.mark.distributed, pytest.mark.slow]

# The error on every rank, by case.
EXPECTED = {
    "plain_after_loading": "UserError: 2 ranks train with a plain Adam, so each rank would train a separate model",
    "plain_after_loading_without_callbacks": "UserError: 2 ranks train with a plain Adam, so each rank would train a",
    "plain_in_train_on_batch": "UserError: 2 ranks train with a plain Adam, so each rank would train a separate",
    "wrapped_after_loading": "no error",
    "loaded_by_one_rank_between_fits": "no error",
    "wrapped_by_horovod": "UserError: 2 ranks train with a plain Adam (hvd.DistributedOptimizer averages nothing with",
    "wrapped_by_horovod_too": "UserError: DistributedOptimizer got an Adam from hvd.DistributedOptimizer, which",
    "plain_in_gan": "UserError: 2 ranks train with a plain Adam, so each rank",
    "default_optimizer": "UserError: 2 ranks train with a plain RMSprop, so each rank",
    "without_broadcast": "UserError: 2 ranks start training without a common state; add tfdl.distributed.Broadcast",
    "other_model": "UserError: the ranks' models differ: rank 0 has (3, 4) float32",
    "eager_and_unbuilt": "UserError: the first step has built layers of sequential",
    "unequal_pydataset": "UserError: the ranks have different numbers of steps in an epoch (rank 0 has 3, rank 1",
    "in_mixed_precision": "no error",
    "eagerly": "no error",
    "xla_requested": "no error",
    "xla_as_keras_chooses_on_a_gpu": "no error",
    "an_optimizer_for_each_layer": "no error",
    "copied_and_saved": "no error",
    "several_random_streams": "no error",
    "metric_that_is_not_a_sum": "UserError: metric 'largest_error' is of the custom class LargestError",
    "xla_left_on": "RunError: XLA refuses HorovodAllreduce",
    "unequal_batches": "RunError: the ranks' batches are not equally large: rank 0 had 16, rank 1 had 20 samples",
    "unequal_shards_without_the_last_batch": "UserError: rank 0 has 12 samples in an epoch and rank 1 has 8,",
    "unequal_arrays": "UserError: rank 0 has 12 samples in an epoch and rank 1 has 11, so the mean over ranks",
    "unequal_shards": "UserError: rank 0 has 12 samples in an epoch and rank 1 has 11, so the mean over ranks",
    "validates_alone": "UserError: rank 1 validates and rank 0 does not, but AverageMetrics computes",
    "validates_less_often": "UserError: rank 0 validates with validation_freq=1 and rank 1 with validation_freq=2",
    "validates_alone_without_averages": "no error",
    "validates_other_steps": "no error",
    "trains_longer": "UserError: rank 0 trains with initial_epoch=0, epochs=3 and rank 1 with initial_epoch=0,",
    "averages_alone": "UserError: rank 0 has the callbacks BroadcastState, SyncCheck, AverageMetrics and rank 1 has ",
    "evaluates_alone": "UserError: rank 0 calls evaluate and rank 1 calls fit",
    "backs_up_alone": "UserError: rank 1 has a BackupAndRestore and rank 0 has not, so after a restart",
    "backs_up_in_one_folder": "UserError: ranks 0 and 1 have a BackupAndRestore with the same folder /",
    "backs_up_in_two_folders": "no error",
    "restored_alone": "RunError: the ranks begin fit at different epochs: rank 0 begins epoch 1, rank 1 begins epoch 2",
    "without_input_in_loops": "no error",
    "other_bins": "UserError: layer 'discretization' (Discretization) has another bin_boundaries on rank 1",
    "other_statistics": "no error",
    "no_gradient_on_rank_1": "UserError: rank 1 has no gradient of auxiliary/other/kernel, and rank 0 has one",
    "local_plateau": "RunError: the ranks' learning rates differ: rank 0 has 0.1, rank 1 has 0.05;",
    "stops_alone_after_an_epoch": "RunError: the ranks diverge: rank 0 begins epoch 2, rank 1 ends;",
}


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """Each rank's error by case, from one job."""
    job = launch(2, *program("keras_faults"), str(tmp_path_factory.mktemp("saved")), *EXPECTED)
    assert job.code == 0, job.output
    by_rank = []
    for rank in range(2):
        lines = [line for line in job.lines_of(rank) if ": " in line]
        by_rank.append(dict(line.split(": ", 1) for line in lines))
    return by_rank


@pytest.mark.parametrize("case", EXPECTED)
def test_all_ranks_raise_the_error(errors: list[dict[str, str]], case: str) -> None:
    for of_rank in errors:
        assert of_rank[case].startswith(EXPECTED[case])


def test_a_rank_that_ends_its_epoch_before_the_others_ends_the_job(tmp_path: Path) -> None:
    """This cannot be known earlier: the data sets have no known length. tests/soak has two more cases."""
    # Keras counts three steps at a time.
    check_an_early_end(tmp_path, "runs_out_of_data_with_several_steps_a_call", "come to step 6")


def check_an_early_end(tmp_path: Path, case: str, where: str) -> None:
    job = launch(2, *program("keras_faults"), str(tmp_path), case)
    assert job.code != 0
    (line,) = (line for line in job.lines_of(1) if line.startswith(case))
    assert f"rank 1 has {where}, but another rank is still training" in line
