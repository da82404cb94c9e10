"""Byte pairs merged in a TensorFlow graph."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfdl.data.tokenizers.base import TokenizerGraph
from tfdl.data.tokenizers.pretokens import split_words_in_graph

NO_TOKEN = -1
"""In place of the token of a byte that the vocabulary lacks."""


class BytePairGraph(TokenizerGraph):
    """A byte-pair tokenizer in a graph.

    Each different word of a batch is merged once, and all words at the same time: a loop merges the first-learned pair
    of every word until nothing is left to merge.

    Args:
        merges: int64 ``(m, 3)``: left token, right token and merged token, in the order in which they were learned.
        bytes_to_ids: the token of each of the 256 bytes, or ``NO_TOKEN``.
        token_bytes: the bytes that each token stands for.
        digits_alone: whether each digit is a word.
    """

    def __init__(
        self, merges: np.ndarray, bytes_to_ids: Sequence[int], token_bytes: Sequence[bytes], digits_alone: bool
    ) -> None:
        super().__init__()
        self._digits_alone = digits_alone
        self._bytes_to_ids = np.array(bytes_to_ids, np.int32)
        self._token_bytes = list(token_bytes)
        self._vocab_size = len(token_bytes)
        self._num_merges = len(merges)
        # Both arrays have one more entry, for pairs without a merge: their number is ``num_merges``.
        self._merged = np.append(merges[:, 2], 0).astype(np.int32)
        self._merge_everywhere = np.append(_later_parts_only(merges), True)
        # Pair -> number of its merge. A table must not be empty, so -1, which is no pair, is added.
        pairs = np.append(self._pairs(merges[:, 0], merges[:, 1]), -1)
        initializer = tf.lookup.KeyValueTensorInitializer(pairs, np.arange(len(pairs)), tf.int64, tf.int64)
        self._merge_numbers = tf.lookup.StaticHashTable(initializer, self._num_merges)

    def encode(self, texts: tf.Tensor) -> tf.RaggedTensor:
        words = split_words_in_graph(texts, self._digits_alone)
        unique_words, word_numbers = tf.unique(words.values)
        all_bytes = tf.io.decode_raw(tf.strings.reduce_join(unique_words), tf.uint8)
        tokens = tf.gather(self._bytes_to_ids, tf.cast(all_bytes, tf.int32))
        lengths = tf.cast(tf.strings.length(unique_words), tf.int64)
        tokens_of_bytes = tf.RaggedTensor.from_row_lengths(tokens, lengths)
        if NO_TOKEN in self._bytes_to_ids:
            tokens_of_bytes = tf.ragged.boolean_mask(tokens_of_bytes, tokens_of_bytes != NO_TOKEN)
        merged = self._merge(tokens_of_bytes)
        tokens_of_words = words.with_values(tf.gather(merged, word_numbers))  # (b, words, tokens)
        return tokens_of_words.merge_dims(1, 2)

    def decode(self, ids: tf.RaggedTensor) -> tf.Tensor:
        return tf.strings.reduce_join(tf.gather(self._token_bytes, ids), axis=-1)

    def _merge(self, words: tf.RaggedTensor) -> tf.RaggedTensor:
        """Tokens of bytes ``(w, None)`` -> merged tokens ``(w, None)``."""
        num_words = words.nrows()

        def merge_once(tokens: tf.Tensor, rows: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            """Tokens of all words ``(t,)``, the word of each ``(t,)``, and whether anything was merged."""
            merge_numbers = self._merges_of_pairs(tokens, rows)
            is_left = self._left_tokens(merge_numbers, rows, num_words)
            is_right = _one_later(is_left)
            # The merged token takes the place of the left one, and the right one is removed.
            tokens = tf.where(is_left, tf.gather(self._merged, merge_numbers), tokens)
            return tokens[~is_right], rows[~is_right], tf.reduce_any(is_left)

        state = (words.values, words.value_rowids(), tf.constant(True))
        shapes = (tf.TensorShape([None]), tf.TensorShape([None]), tf.TensorShape([]))
        tokens, rows, _ = tf.while_loop(lambda *state: state[2], merge_once, state, shapes)
        return tf.RaggedTensor.from_value_rowids(tokens, rows, num_words)

    def _merges_of_pairs(self, tokens: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """For each token ``(t,)``, the number of its merge with the next token; ``num_merges`` if there is none."""
        pairs = self._pairs(tf.cast(tokens[:-1], tf.int64), tf.cast(tokens[1:], tf.int64))
        is_same_word = rows[:-1] == rows[1:]
        merge_numbers = tf.where(is_same_word, self._merge_numbers.lookup(pairs), self._num_merges)
        # The last token has no next one. If there are no tokens, there is no last token either.
        num_last = tf.minimum(tf.size(tokens), 1)
        of_last = tf.fill([num_last], tf.cast(self._num_merges, tf.int64))
        return tf.concat([merge_numbers, of_last], 0)

    def _left_tokens(self, merge_numbers: tf.Tensor, rows: tf.Tensor, num_words: tf.Tensor) -> tf.Tensor:
        """Which tokens ``(t,)`` are now merged with the next: each word's first-learned pair, from left to right."""
        first_learned = tf.gather(tf.math.unsorted_segment_min(merge_numbers, rows, num_words), rows)
        is_candidate = (merge_numbers == first_learned) & (merge_numbers < self._num_merges)
        # In a run of candidates such as "aaaa" pairs overlap, so only every second one is merged.
        starts_run = is_candidate & ~_one_later(is_candidate)
        positions = tf.range(tf.size(merge_numbers))
        run_numbers = tf.cumsum(tf.cast(starts_run, tf.int32)) - 1
        run_starts = tf.concat([positions[starts_run], [0]], 0)  # one more, in case there is no run
        run_start = tf.gather(run_starts, tf.maximum(run_numbers, 0))  # (t,)
        is_left = is_candidate & ((positions - run_start) % 2 == 0)
        if self._merge_everywhere.all():
            return is_left
        candidate_positions = tf.where(is_candidate, positions, positions.dtype.max)
        leftmost = tf.gather(tf.math.unsorted_segment_min(candidate_positions, rows, num_words), rows)
        return is_left & (tf.gather(self._merge_everywhere, merge_numbers) | (positions == leftmost))

    def _pairs(self, left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
        """One number for each pair of tokens."""
        return left * self._vocab_size + right


def _one_later(flags: tf.Tensor) -> tf.Tensor:
    """The flags moved by one place; the first is false."""
    return tf.concat([[False], flags], axis=0)[:-1]


def _later_parts_only(merges: np.ndarray) -> np.ndarray:
    """For each merge, whether its result is a part of later merges only, ``(m,)``.

    Such a merge makes no pair that was learned before it, so all its places in a word can be merged at once. Nearly all
    learned merges are of that kind; the exceptions are tokens that result from several merges. They are merged one
    place at a time, since after each place another pair may be the first to merge.
    """
    first_use: dict[int, int] = {}  # token -> the first merge that it is a part of
    for number, (left, right, _) in enumerate(merges.tolist()):
        first_use.setdefault(left, number)
        first_use.setdefault(right, number)
    results = merges[:, 2].tolist()
    return np.array([first_use.get(result, number) >= number for number, result in enumerate(results)], bool)
