"""The random streams of models whose ranks change."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfdl.distributed.state import fold_rank_into_seeds, seed_generators
from tfdl.distributed.world import World


class RankSeeds:
    """The random streams of some models, into which this rank was folded.

    Copies of them are those of rank 0. So it does not matter for the random numbers which rank made the copy that is
    restored, and as which rank.

    Args:
        models: Keras models.
    """

    def __init__(self, models: Sequence[Any]):
        generators = [generator for model in models for generator in seed_generators(model)]
        self._generators = list({id(generator): generator for generator in generators}.values())
        self._folded_rank = 0

    def values(self) -> list[np.ndarray]:
        """Returns copies of the streams, without the rank: each ``[seed, counter]``."""
        fold_rank_into_seeds(self._generators, -self._folded_rank)
        values = [np.array(generator.state) for generator in self._generators]
        fold_rank_into_seeds(self._generators, self._folded_rank)
        return values

    def assign(self, values: Sequence[np.ndarray]) -> None:
        """Sets the streams to copies that ``values`` returned, on any rank, and folds this rank in."""
        for generator, value in zip(self._generators, values, strict=True):
            generator.state.assign(value)
        fold_rank_into_seeds(self._generators, self._folded_rank)

    def unfold(self) -> None:
        """Makes the streams those of rank 0, before they are given to all ranks."""
        fold_rank_into_seeds(self._generators, -self._folded_rank)
        self._folded_rank = 0

    def note_folding(self, world: World) -> None:
        """Called after ``Replicas.broadcast``, which has folded the rank in."""
        self._folded_rank = world.rank
