"""One global batch gives one model on any number of ranks: in float64, where no rounding hides a mistake."""

import json

import pytest

from tests.distributed.launching import launch, program

pytestmark = [pytest.mark.distributed, pytest.mark.slow]


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_train_the_model_of_one_process(ranks: int) -> None:
    """Nine steps of AdamW with clipping, a schedule, averages and batch normalization, also in pieces.

    The control keeps batch statistics to each rank.
    """
    job = launch(ranks, *program("np_invariance"))
    assert job.code == 0, job.output
    found = json.loads(job.lines_of(0)[-1])
    for case in ("synchronized", "pieces", "pieces of a short batch"):
        assert found[case] < 1e-9, case
    assert found["local statistics"] > 1e-3
