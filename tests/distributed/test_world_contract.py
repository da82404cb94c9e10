"""Every kind of World keeps the contract."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.distributed.launching import launch, program
from tests.distributed.world_contract import check_world
from tfdl.distributed import SingleWorld


def test_a_single_rank() -> None:
    check_world(SingleWorld())


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_that_are_threads(ranks: Callable[[int], Any], size: int) -> None:
    world = ranks(size)
    world.run(lambda _: check_world(world, graphs=False))


@pytest.mark.distributed
@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 3])
def test_real_ranks(size: int) -> None:
    """Over Gloo, two ranks and three send tensors in different ways."""
    job = launch(size, *program("world_contract"))
    assert job.code == 0, job.output
    assert all(job.lines_of(rank)[-1] == "done" for rank in range(size))
