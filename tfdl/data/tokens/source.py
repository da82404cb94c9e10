"""Texts of unequal lengths as batches of tokens: texts of about equal length together, padded at the end."""

import copy
import itertools
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
"""The token after the end of a shorter text, as models expect it."""
# Lengths are rounded up to multiples of this, or of an eighth of the next power of two if that is more.
_LEAST_STEP = 8


@dataclass(frozen=True)
class Frame:
    """Special tokens before and after a text, and how long the text may be with them."""

    longest: int
    """Most tokens, including those before and after; a longer text is cut."""
    before: int | None = None
    """The token before a text, such as a start token."""
    after: int | None = None
    """The token after a text, such as an end token."""

    @property
    def size(self) -> int:
        """The number of tokens before and after a text."""
        return (self.before is not None) + (self.after is not None)


class TokenSource(ShuffledSource):
    """A split's texts, in batches of int32 tokens ``(b, t)`` by role, and class numbers ``(b,)`` as ``label``.

    ``t`` is the length of the batch's longest text, rounded up (see ``padded_lengths``). Each new shape costs a
    compilation under XLA, and the set-up of kernels without XLA, so there should be few shapes. Results must not depend
    on ``t``: models ignore padding.

    Batches are read by TensorFlow operations alone, unless the tokens exceed the memory limit. Then they are read from
    the mapped file by Python code.

    Args:
        columns: role -> tokens, or ``label`` -> class numbers.
        frames: role -> the tokens around its texts, and their greatest length.
        memory_limit_mb: most memory that tokens may take, in MiB.
        rows: the texts themselves; needed only for ``texts``.

    Attributes:
        lengths: tokens of each sample in a batch, over all its texts, ``(n,)``.
        num_cut: number of samples of which a text is cut.
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
        self.lengths = np.zeros(self.num_examples, np.int32)
        is_cut = np.zeros(self.num_examples, bool)
        for role, column in texts.items():
            lengths = column.lengths + frames[role].size
            longest = frames[role].longest
            is_cut |= lengths > longest
            self.lengths += np.minimum(lengths, longest).astype(np.int32)
        self.num_cut = int(is_cut.sum())
        num_bytes = sum(column.tokens.nbytes for column in texts.values())
        in_memory = num_bytes <= memory_limit_mb * 2**20
        self._texts = {role: _Texts(texts[role], frames[role], in_memory) for role in texts}
        self._rows = rows
        self._samples: np.ndarray | None = None  # all of them
        with tf.device("CPU:0"):
            self._numbers = {role: tf.constant(columns[role], tf.int32) for role in columns.keys() - texts.keys()}

    @property
    def samples(self) -> np.ndarray:
        """Numbers of the samples that an evaluation reads, in the split's order."""
        return np.arange(self.num_examples) if self._samples is None else self._samples

    def values(self, name: str) -> np.ndarray:
        """A number of each sample that training reads, ``(n,)``, such as its class.

        Args:
            name: a feature that is no text.
        """
        return np.asarray(self._numbers[name])[self.samples]

    def read(self, indices: Any) -> dict[str, Any]:
        """See ``Source.read``."""
        features = {role: texts.read(indices) for role, texts in self._texts.items()}
        for role, numbers in self._numbers.items():
            features[role] = tf.gather(numbers, indices)
        return features

    def epoch_order(self, seed: int, epoch: int, global_batch: int) -> np.ndarray:
        """See ``Source.epoch_order``; random, with samples of about equal length in each batch."""
        if self._samples is None:  # no copies: an order may take much of the memory
            return order_by_length(self.lengths, seed, epoch, global_batch)
        lengths = self.lengths[self._samples]
        return self._samples[order_by_length(lengths, seed, epoch, global_batch)]

    def evaluation_pieces(self, batch_size: int, most_tokens: int | None = None) -> list[np.ndarray]:
        """See ``Source.evaluation_pieces``; the longest samples come first.

        ``most_tokens`` counts padding. A piece of a single sample may exceed it.
        """
        samples = self.samples
        lengths = self.lengths[samples]
        order = samples[np.argsort(-lengths, kind="stable")]
        pieces = []
        begin = 0
        while begin < len(order):
            count = batch_size
            if most_tokens is not None:
                longest = int(self.lengths[order[begin]])
                count = max(1, min(batch_size, most_tokens // longest))
            pieces.append(order[begin : begin + count])
            begin += count
        return pieces

    def spread(self, most: int) -> "TokenSource":
        """See ``TextSource.spread``; the samples keep their numbers."""
        samples = self.samples
        count = min(most, len(samples))
        return self.chosen(samples[np.arange(count) * len(samples) // count])

    def limited(self, most: int) -> "TokenSource":
        """A split of at most so many of the samples, which keep their numbers.

        Args:
            most: of the samples.
        """
        part = self.spread(most)
        part.num_examples = len(part.samples)
        return part

    def chosen(self, samples: np.ndarray) -> "TokenSource":
        """Some of the samples, which keep their numbers.

        Args:
            samples: their numbers in increasing order.
        """
        part = copy.copy(self)
        part._samples = samples
        return part

    def texts(self, *roles: str) -> dict[str, np.ndarray]:
        """See ``TextSource.texts``; the texts as they were before they became tokens."""
        assert self._rows is not None
        wanted = set(self.samples.tolist())
        # Rows after the last of them are not read.
        rows = itertools.islice(self._rows, max(wanted, default=-1) + 1)
        chosen = [row for number, row in enumerate(rows) if number in wanted]
        return {role: np.array([row[role] for row in chosen], object) for role in roles}


class _Texts:
    """The texts of one role."""

    def __init__(self, column: TokenColumn, frame: Frame, in_memory: bool):
        self._frame = frame
        self._most_own_tokens = frame.longest - frame.size
        assert self._most_own_tokens >= 0
        self._column = column
        self._tokens = None
        with tf.device("CPU:0"):
            if in_memory:
                # Token 0 exists even if all texts are empty.
                self._tokens = tf.constant(column.tokens if len(column.tokens) else np.zeros(1, column.tokens.dtype))
            self._starts = tf.constant(column.starts)
            self._padded_lengths = tf.constant(padded_lengths(frame.longest))

    def read(self, indices: Any) -> Any:
        """Tokens int32 ``(b, t)``: the token before, the text's own, the token after, and padding."""
        begin = tf.gather(self._starts, indices)  # (b,)
        end = tf.gather(self._starts, indices + 1)
        length = tf.minimum(end - begin, self._most_own_tokens)
        padded_length = tf.gather(self._padded_lengths, tf.reduce_max(length) + self._frame.size)
        num_before = int(self._frame.before is not None)
        positions = tf.range(padded_length)[tf.newaxis] - num_before  # (1, t), within the text
        is_own = tf.logical_and(positions >= 0, positions < length[:, tf.newaxis])  # (b, t)
        token_numbers = tf.where(is_own, begin[:, tf.newaxis] + positions, 0)  # (b, t), within the column
        tokens = tf.where(is_own, self._look_up(token_numbers), PADDING)
        if self._frame.before is not None:
            tokens = tf.where(positions < 0, self._frame.before, tokens)
        if self._frame.after is not None:
            tokens = tf.where(positions == length[:, tf.newaxis], self._frame.after, tokens)
        return tokens

    def _look_up(self, token_numbers: Any) -> Any:
        """The column's tokens at these places, int32 ``(b, t)``."""
        if self._tokens is not None:
            return tf.cast(tf.gather(self._tokens, token_numbers), tf.int32)
        tokens = tf.numpy_function(self._from_disk, [token_numbers], tf.int32, stateful=False)
        return tf.ensure_shape(tokens, [None, None])

    def _from_disk(self, token_numbers: np.ndarray) -> np.ndarray:
        tokens = self._column.tokens
        if len(tokens) == 0:
            return np.zeros(token_numbers.shape, np.int32)
        return tokens[token_numbers].astype(np.int32)


def padded_lengths(longest: int) -> np.ndarray:
    """Length -> the length that it is padded to, for all lengths from 0 to ``longest``.

    Up to 64 these are multiples of 8. Above, there are four lengths from a power of two to the next, so that at most a
    quarter is padding, and a model of 512 tokens sees 20 lengths. None exceeds ``longest``.
    """
    lengths = np.arange(longest + 1)
    powers_of_2 = 2 ** np.ceil(np.log2(np.maximum(lengths, 1))).astype(np.int64)  # at least the length
    steps = np.maximum(powers_of_2 // 8, _LEAST_STEP)
    num_steps = np.maximum(-(-lengths // steps), 1)  # rounded up
    return np.minimum(num_steps * steps, longest)
