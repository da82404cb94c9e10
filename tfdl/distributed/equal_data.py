"""Compares the data that Python code passed on every rank: tfdl deals out the samples, so all ranks must have all."""

from collections.abc import Callable, Mapping
from typing import Any

from tfdl.distributed.world import World
from tfdl.errors import UserError, mark_agreed


def check_equal_data(describe: Callable[[], Mapping[str, Any]], world: World) -> None:
    """Checks that all ranks were given the same data. Every rank must call it.

    Args:
        describe: describes this rank's splits; a description has a method ``difference(other, here, there)``, which
            returns how another one differs from it, or an empty string.
        world: the ranks.

    Raises:
        UserError: the ranks have different data. It is raised on every rank.
    """
    if world.size == 1:
        return
    described: Mapping[str, Any] = {}
    with world.agreement():
        described = describe()
    described_by_ranks = world.all_gather_object(described)
    for rank, other in enumerate(described_by_ranks):
        for split, first in described_by_ranks[0].items():
            difference = first.difference(other[split], "rank 0", f"rank {rank}")
            if difference:
                error = UserError(
                    f"the split {split!r} of data= {difference}; expected the same data on every rank: pass all"
                    " samples everywhere, and tfdl deals them out to the ranks"
                )
                mark_agreed(error)
                raise error
