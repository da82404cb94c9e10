"""Compares the data of all ranks: tfdl deals out the samples, so every rank must have all of them."""

from collections.abc import Callable, Mapping, Sequence
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


def check_equal_splits(name: str, class_names: Sequence[str], counts: Mapping[str, int], world: World) -> None:
    """Checks that all ranks opened the same data set: as many samples in each split, and the same classes.

    The ranks of several hosts may have different files under one path. Every rank must call it.

    Args:
        name: the data set, for the message.
        class_names: a name for each class number.
        counts: split -> number of samples.
        world: the ranks.

    Raises:
        UserError: the ranks have different data. It is raised on every rank.
    """
    if world.size == 1:
        return
    found_by_ranks = world.all_gather_object((tuple(class_names), dict(counts)))
    first_classes, first_counts = found_by_ranks[0]
    for rank, (classes, other_counts) in enumerate(found_by_ranks):
        if classes != first_classes:
            difference = f"other classes on rank {rank} than on rank 0 ({_difference(first_classes, classes)})"
        elif other_counts != first_counts:
            split = next(split for split in first_counts if other_counts[split] != first_counts[split])
            difference = (
                f"{first_counts[split]:,} samples in {split} on rank 0 and {other_counts[split]:,} on rank {rank}"
            )
        else:
            continue
        error = UserError(f"dataset {name!r} has {difference}; expected the same data on every host")
        mark_agreed(error)
        raise error


def _difference(class_names: Sequence[str], other_names: Sequence[str]) -> str:
    """The first class that only one of two data sets has."""
    for name in sorted({*class_names, *other_names}):
        if name not in other_names:
            return f"no {name!r}"
        if name not in class_names:
            return f"also {name!r}"
    return "in another order"
