"""Two groups of ranks in one job, each with its own model, under the real launcher."""

import json

import pytest

from tests.distributed.launching import launch, program

pytestmark = [pytest.mark.distributed, pytest.mark.slow]


def test_two_groups_train_two_models_side_by_side() -> None:
    job = launch(4, *program("two_groups"))
    assert job.code == 0, job.output
    results_by_rank = json.loads(job.lines_of(0)[-1])
    for rank, results in enumerate(results_by_rank):
        group, other_group = ([0, 1], [2, 3]) if rank < 2 else ([2, 3], [0, 1])
        first, second = group
        assert results["group"] == [rank - first, 2, rank == first]
        assert results["sum"] == first + second
        assert results["gathered"] == group
        assert results["broadcast"] == group
        # Of the gather: the sum of both ranks' factors. Of the broadcast: twice that, for the two gathered numbers.
        both = first + second + 2
        assert results["gradient"] == (both if rank == first else 3 * both)
        assert results["equal"]
        assert results["difference_from_one"] < 1e-9
        assert results["kernel_after_a_step"] == -(first + second) / 2  # minus the mean of their gradients
        message = f"rank {rank} requested the subset {other_group}, expected a subset that contains"
        assert message in results["refusal"]
        assert results["whole"] == 4
