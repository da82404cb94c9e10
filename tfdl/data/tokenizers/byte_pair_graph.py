"""Byte pairs merged in a TensorFlow graph."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfdl.data.tokenizers.base import TokenizerGraph
from tfdl.data.tokenizers.pretokens import split_words_in_graph


class BytePairGraph(TokenizerGraph):
    """Each word of a batch is merged once, however often it occurs; all words are merged side by side.

    Args:
        merges: ``(m, 3)`` left token, right token, and the token they become, in the order in which they were learned.
        bytes_to_ids: the token of each of the 256 bytes.
        token_bytes: the bytes that each token stands for.
    """

    def __init__(self, merges: np.ndarray, bytes_to_ids: Sequence[int], token_bytes: Sequence[bytes]) -> None:
        super().__init__()
        self._bytes_to_ids, self._token_bytes = np.array(bytes_to_ids, np.int32), list(token_bytes)
        self._vocab_size, self._num_merges = len(token_bytes), len(merges)
        # One more: what no merge becomes, and whether it is done all over a word.
        self._merged = np.append(merges[:, 2], 0).astype(np.int32)
        self._everywhere = np.append(_later_parts_only(merges), True)
        # A table must have a key; no pair is -1.
        pairs = np.append(self._pairs(merges[:, 0], merges[:, 1]), -1)
        initializer = tf.lookup.KeyValueTensorInitializer(pairs, np.arange(len(pairs)), tf.int64, tf.int64)
        self._order = tf.lookup.StaticHashTable(initializer, self._num_merges)

    def encode(self, texts: tf.Tensor) -> tf.RaggedTensor:
        words = split_words_in_graph(texts)
        different, places = tf.unique(words.values)
        letters = tf.io.decode_raw(tf.strings.reduce_join(different), tf.uint8)
        tokens = tf.gather(self._bytes_to_ids, tf.cast(letters, tf.int32))
        lengths = tf.cast(tf.strings.length(different), tf.int64)
        merged = self._merge(tf.RaggedTensor.from_row_lengths(tokens, lengths))
        return words.with_values(tf.gather(merged, places)).merge_dims(1, 2)

    def decode(self, ids: tf.RaggedTensor) -> tf.Tensor:
        return tf.strings.reduce_join(tf.gather(self._token_bytes, ids), axis=-1)

    def _merge(self, words: tf.RaggedTensor) -> tf.RaggedTensor:
        """Bytes' tokens ``(w, None)`` -> tokens ``(w, None)``."""
        num_words = words.nrows()

        def merge_once(tokens: tf.Tensor, rows: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            order = self._order_of_pairs(tokens, rows)
            taken = self._taken(order, rows, num_words)
            tokens = tf.where(taken, tf.gather(self._merged, order), tokens)
            swallowed = _one_later(taken)
            return tokens[~swallowed], rows[~swallowed], tf.reduce_any(taken)

        state = (words.values, words.value_rowids(), tf.constant(True))
        shapes = (tf.TensorShape([None]), tf.TensorShape([None]), tf.TensorShape([]))
        tokens, rows, _ = tf.while_loop(lambda *state: state[2], merge_once, state, shapes)
        return tf.RaggedTensor.from_value_rowids(tokens, rows, num_words)

    def _order_of_pairs(self, tokens: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """For each token, the number of the merge of it and the next one; ``num_merges`` where there is none."""
        pairs = self._pairs(tf.cast(tokens[:-1], tf.int64), tf.cast(tokens[1:], tf.int64))
        order = tf.where(rows[:-1] == rows[1:], self._order.lookup(pairs), self._num_merges)
        # The last token has no next one; where there is no token at all there is no last one.
        return tf.concat([order, tf.fill([tf.minimum(tf.size(tokens), 1)], tf.cast(self._num_merges, tf.int64))], 0)

    def _taken(self, order: tf.Tensor, rows: tf.Tensor, num_words: tf.Tensor) -> tf.Tensor:
        """Which tokens are merged with the next one: each word's first-learned pair, from left to right."""
        first_learned = tf.gather(tf.math.unsorted_segment_min(order, rows, num_words), rows)
        wanted = (order == first_learned) & (order < self._num_merges)
        # In a run such as "aaaa", every second pair is free.
        starts = wanted & ~_one_later(wanted)
        places = tf.range(tf.size(order))
        run = tf.cumsum(tf.cast(starts, tf.int32)) - 1
        start = tf.gather(tf.concat([places[starts], [0]], 0), tf.maximum(run, 0))
        taken = wanted & ((places - start) % 2 == 0)
        if self._everywhere.all():
            return taken
        leftmost = tf.gather(
            tf.math.unsorted_segment_min(tf.where(wanted, places, places.dtype.max), rows, num_words), rows
        )
        return taken & (tf.gather(self._everywhere, order) | (places == leftmost))

    def _pairs(self, left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
        """One number for a pair."""
        return left * self._vocab_size + right


def _one_later(flags: tf.Tensor) -> tf.Tensor:
    """Each flag at the next place; the first is false."""
    return tf.concat([[False], flags], axis=0)[:-1]


def _later_parts_only(merges: np.ndarray) -> np.ndarray:
    """For each merge, whether what it makes is part of later merges only, ``(m,)``.

    Then a merge makes no pair that comes before itself, and all its places in a word can be merged at once. Learned
    merges are of that kind, but for tokens that are made in more than one way; the others are merged one at a time,
    since after each the pair to merge may be another.
    """
    first_use: dict[int, int] = {}
    for place, (left, right, _) in enumerate(merges.tolist()):
        first_use.setdefault(left, place)
        first_use.setdefault(right, place)
    return np.array([first_use.get(made, place) >= place for place, made in enumerate(merges[:, 2].tolist())], bool)
