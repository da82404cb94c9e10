"""Texts of unequal lengths as batches of tokens: alike ones together, padded at the end."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data.order import order_by_length
from tfdl.data.sources import ShuffledSource
from tfdl.data.texts import TextSplit
from tfdl.data.tokens.table import Column, TokenColumn

PADDING = 0
"""Stands after the end of a shorter text, as models expect it."""
# Lengths are rounded up to multiples of this, and of an eighth of the next power of two.
_FINEST = 8


@dataclass(frozen=True)
class Frame:
    """What stands around a text's own tokens, and how long the whole may be."""

    longest: int
    """Most tokens, those before and after included; a longer text is cut."""
    before: int | None = None
    after: int | None = None

    @property
    def size(self) -> int:
        """How many tokens stand around it."""
        return (self.before is not None) + (self.after is not None)


class TokenSource(ShuffledSource):
    """A split's texts, in batches of int32 tokens ``(b, t)`` by role, and class numbers ``(b,)`` as ``label``.

    ``t`` is the length of the batch's longest text, rounded up (``padded_lengths``): each new shape costs a
    compilation under XLA, and the set-up of kernels elsewhere, so there should be few. Nothing may depend on it: what
    reads the tokens takes no notice of padding.

    Reading a batch is TensorFlow's work alone, except where the tokens are too many to be kept in memory; then they are
    read from the mapped file.

    Args:
        columns: role -> tokens, or ``label`` -> class numbers.
        frames: role -> how its texts stand in a batch.
        memory_limit_mb: most memory that tokens may take.
        rows: the texts themselves, where someone will ask for them.
    """

    def __init__(
        self,
        columns: Mapping[str, Column],
        frames: Mapping[str, Frame],
        memory_limit_mb: int,
        rows: TextSplit | None = None,
    ):
        texts = {role: column for role, column in columns.items() if isinstance(column, TokenColumn)}
        self.num_examples = len(next(iter(columns.values())))
        whole = {role: column.lengths + frames[role].size for role, column in texts.items()}
        kept = {role: np.minimum(lengths, frames[role].longest) for role, lengths in whole.items()}
        self.lengths = np.sum(list(kept.values()), 0)
        """Tokens of each sample, over all its texts, as a batch has them."""
        self.num_cut = int(np.any([kept[role] < whole[role] for role in texts], 0).sum())
        """Samples of which a text is cut."""
        in_memory = sum(column.tokens.nbytes for column in texts.values()) <= memory_limit_mb * 2**20
        self._texts = {role: _Texts(texts[role], frames[role], in_memory) for role in texts}
        self._rows = rows
        self.samples = np.arange(self.num_examples)
        """The samples that an evaluation goes through, in the split's order."""
        with tf.device("CPU:0"):
            self._numbers = {role: tf.constant(columns[role], tf.int32) for role in columns.keys() - texts.keys()}

    def read(self, indices: Any) -> dict[str, Any]:
        texts = {role: column.read(indices) for role, column in self._texts.items()}
        return {**texts, **{role: tf.gather(values, indices) for role, values in self._numbers.items()}}

    def epoch_order(self, seed: int, epoch: int, global_batch: int) -> np.ndarray:
        """Random, with samples of about one length in each batch."""
        return order_by_length(self.lengths, seed, epoch, global_batch)

    def evaluation_pieces(self, batch_size: int, most_tokens: int | None = None) -> list[np.ndarray]:
        """All samples, the longest first, in pieces of at most ``batch_size`` samples and ``most_tokens`` tokens with
        padding; a single sample is always allowed."""
        lengths = self.lengths[self.samples]
        order = self.samples[np.argsort(-lengths, kind="stable")]
        pieces, begin = [], 0
        while begin < len(order):
            longest = int(self.lengths[order[begin]])
            count = batch_size if most_tokens is None else max(1, min(batch_size, most_tokens // longest))
            pieces.append(order[begin : begin + count])
            begin += count
        return pieces

    def spread(self, most: int) -> "TokenSource":
        """At most so many of the samples, by their own numbers, evenly spread over the split, to be evaluated."""
        part = copy.copy(self)
        count = min(most, len(self.samples))
        part.samples = self.samples[np.arange(count) * len(self.samples) // count]
        return part

    def texts(self, *roles: str) -> dict[str, np.ndarray]:
        """The samples' texts by role, as they were before they became tokens: arrays of strings ``(n,)``."""
        assert self._rows is not None
        wanted = set(self.samples.tolist())
        rows = [row for number, row in enumerate(self._rows) if number in wanted]
        return {role: np.array([row[role] for row in rows], object) for role in roles}


class _Texts:
    """The texts of one role."""

    def __init__(self, column: TokenColumn, frame: Frame, in_memory: bool):
        self._frame, self._room = frame, frame.longest - frame.size
        assert self._room >= 0
        # One token more: a split of empty texts alone has a place to look at, too.
        with tf.device("CPU:0"):
            self._tokens = tf.constant(np.append(column.tokens, column.tokens.dtype.type(0))) if in_memory else None
            self._starts = tf.constant(column.starts)
            self._padded = tf.constant(padded_lengths(frame.longest))
        self._column = column

    def read(self, indices: Any) -> Any:
        begin = tf.gather(self._starts, indices)  # (b,)
        length = tf.minimum(tf.gather(self._starts, indices + 1) - begin, self._room)
        padded = tf.gather(self._padded, tf.reduce_max(length) + self._frame.size)
        before = int(self._frame.before is not None)
        places = tf.range(padded)[tf.newaxis] - before  # (1, t), within the text
        own = tf.logical_and(places >= 0, places < length[:, tf.newaxis])  # (b, t)
        tokens = tf.where(own, self._look_up(tf.where(own, begin[:, tf.newaxis] + places, 0)), PADDING)
        if self._frame.before is not None:
            tokens = tf.where(places < 0, self._frame.before, tokens)
        if self._frame.after is not None:
            tokens = tf.where(places == length[:, tf.newaxis], self._frame.after, tokens)
        return tokens

    def _look_up(self, places: Any) -> Any:
        if self._tokens is not None:
            return tf.cast(tf.gather(self._tokens, places), tf.int32)
        found = tf.numpy_function(self._from_disk, [places], tf.int32, stateful=False)
        return tf.ensure_shape(found, [None, None])

    def _from_disk(self, places: np.ndarray) -> np.ndarray:
        tokens = self._column.tokens
        return tokens[places].astype(np.int32) if len(tokens) else np.zeros(places.shape, np.int32)


def padded_lengths(longest: int) -> np.ndarray:
    """Length -> what it is padded to, for all from 0 to ``longest``: at least the length, and never above ``longest``.

    Up to 64 these are multiples of 8; above, there are four lengths between a power of two and the next: at most a
    quarter is padding, and a model of 512 tokens meets 20 lengths.
    """
    lengths = np.arange(longest + 1)
    powers = 2 ** np.ceil(np.log2(np.maximum(lengths, 1))).astype(np.int64)
    steps = np.maximum(powers // 8, _FINEST)
    return np.minimum(np.maximum(-(-lengths // steps), 1) * steps, longest)
