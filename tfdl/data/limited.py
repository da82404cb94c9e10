"""Splits of which only some samples are used."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data.sources import ShuffledSource, Source
from tfdl.errors import UserError


def limited_splits(sources: Mapping[str, Source], limits: Mapping[str, int | None]) -> dict[str, Source]:
    """The splits with at most so many samples each, which are spread evenly over the split.

    Args:
        sources: the splits.
        limits: split -> the most samples; none for all of them.
    """
    made: dict[tuple[int, int | None], Source] = {}  # two names of one split remain two names of one
    for split, source in sources.items():
        most = limits.get(split)
        made.setdefault((id(source), most), source if most is None else limited(source, most))
    return {split: made[id(source), limits.get(split)] for split, source in sources.items()}


def limited(source: Source, most: int) -> Source:
    """A source with at most so many samples.

    Args:
        source: of a split. It may have a method ``limited``; otherwise its samples get new numbers.
        most: at least 1.
    """
    if most >= source.num_examples:
        return source
    own = getattr(source, "limited", None)
    if own is not None:
        result: Source = own(most)
        return result
    return SpreadSamples(source, most)


class SpreadSamples(ShuffledSource):
    """Some samples of a source, with new numbers, in the order in which the source has them.

    Args:
        source: of the split.
        count: of the samples, less than it has.
    """

    def __init__(self, source: Source, count: int):
        self.num_examples = count
        self.unit = source.unit
        self.parallel_reads = source.parallel_reads
        self._source: Any = source
        self._numbers = np.arange(count) * source.num_examples // count

    def __getattr__(self, name: str) -> Any:
        """What tasks know of the source besides: its ``signature``, and ``values`` if it has them in memory."""
        if name not in ("signature", "values"):
            raise AttributeError(name)
        member = getattr(self._source, name)
        if name == "values":
            return lambda feature: np.asarray(member(feature))[self._numbers]
        return member

    def read(self, indices: Any) -> dict[str, Any]:
        """See ``Source.read``."""
        features: dict[str, Any] = self._source.read(tf.gather(tf.constant(self._numbers), indices))
        return features

    def epoch_order(self, seed: int, epoch: int, global_batch: int) -> np.ndarray:
        """See ``Source.epoch_order``; as the source orders these samples."""
        order = self._source.epoch_order(seed, epoch, global_batch)
        if order.max(initial=0) >= self._source.num_examples:
            raise UserError(
                f"limit_train_samples with a {type(self._source).__name__}, whose epochs have other sample numbers than"
                " those below num_examples; leave it out, or give the class a method limited(most)"
            )
        places = np.full(self._source.num_examples, -1)
        places[self._numbers] = np.arange(self.num_examples)
        own = places[order]
        return own[own >= 0]
