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
def test_real_ranks() -> None:
    """Two of them. Over Gloo, three send tensors in other ways; ``test_collectives.py`` has three."""
    job = launch(2, *program("world_contract"))
    assert job.code == 0, job.output
    assert all(job.lines_of(rank)[-1] == "done" for rank in range(2))
