"""Two groups of ranks in one job, each with its own model, under the real launcher."""

import json

import pytest

from tests.distributed.launching import launch, program

pytestmark = [pytest.mark.distributed, pytest.mark.slow]


def test_two_groups_train_two_models_side_by_side() -> None:
    job = launch(4, *program("two_groups"))
    assert job.code == 0, job.output
    ranks = json.loads(job.lines_of(0)[-1])
    for rank, seen in enumerate(ranks):
        first, second = (0, 1) if rank < 2 else (2, 3)
        assert seen["group"] == [rank - first, 2, rank == first]
        assert seen["sum"] == first + second
        assert seen["gathered"] == seen["broadcast"] == [first, second]
        assert seen["equal"]
        assert seen["from_alone"] < 1e-9
        assert seen["stepped"] == -(first + second) / 2
        other_group = [2, 3] if rank < 2 else [0, 1]
        assert f"rank {rank} requested the subset {other_group}, expected a subset that contains" in seen["refused"]
        assert seen["whole"] == 4
