"""How the arrays of a checkpoint are divided into shards, of which each rank writes one."""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Shard:
    """One of a checkpoint's shards."""

    index: int
    """From 0. The first shard has what is not divided as well, such as the progress."""
    count: int
    """The number of all shards."""

    @property
    def is_first(self) -> bool:
        """Whether it is the first one."""
        return self.index == 0


def keys_of_shard(sizes: Mapping[tuple[str, str], int], shard: Shard) -> set[tuple[str, str]]:
    """The arrays of a shard. All shards have about the same number of bytes, and no array is in two of them.

    The largest array comes first, each to the shard with the fewest bytes so far (Graham, 1969,
    https://doi.org/10.1137/0117039): the largest shard exceeds the mean by less than one array.

    Args:
        sizes: file and name of an array -> its bytes, the same on all ranks.
        shard: one of the shards.
    """
    loads = [(0, index) for index in range(shard.count)]  # (bytes, index of the shard), sorted
    chosen = set()
    for key in sorted(sizes, key=lambda key: (-sizes[key], key)):
        load, index = heapq.heappop(loads)
        heapq.heappush(loads, (load + sizes[key], index))
        if index == shard.index:
            chosen.add(key)
    return chosen
