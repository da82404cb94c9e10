"""A token for each word that is frequent in the training texts."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
import tensorflow as tf

from tfdl.config.tokenizers import WordTokenizerConfig
from tfdl.data.tokenizers.base import UNKNOWN, Tokenizer, TokenizerGraph, clean
from tfdl.data.tokenizers.word_split import UNKNOWN_WORD, Split, split_words, split_words_in_graph

_FIRST = UNKNOWN + 1
_AROUND_NEWLINE = " ?\n ?"


class WordTokenizer(Tokenizer):
    """Words are the tokens from 4 on, the most frequent first. All other words are token 3, the unknown token.

    The unknown token is ``<unk>`` in decoded texts, and ``<unk>`` in a text is encoded as it. Texts are decoded with a
    space between words, and no spaces around newlines.

    Args:
        words: the vocabulary, by id.
        split: how texts are split into words (see ``word_split``).
    """

    name = "word"
    reads_parts = True

    def __init__(self, words: Sequence[str], split: Split) -> None:
        self.words = tuple(words)
        self.split = split
        self.vocab_size = _FIRST + len(self.words)
        self._ids = {word: number for number, word in enumerate(self.words, _FIRST)}

    @classmethod
    def fit(cls, config: WordTokenizerConfig, texts: Iterable[str]) -> Self:
        """Learns the words that occur at least twice, so that the model sees unknown words when it is trained.

        If most commas and full stops stand alone, the texts are taken to be tokenized already, and split at spaces.

        Args:
            config: the greatest number of tokens.
            texts: the training texts.
        """
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(split_words(clean(text), "spaces"))
        split: Split = "spaces"
        if not _are_tokenized(counts):
            split = "punctuation"
            counts = _split_further(counts)
        del counts[UNKNOWN_WORD]
        frequent_words = [word for word, count in counts.items() if count > 1]
        frequent_words.sort(key=lambda word: (-counts[word], word))
        return cls(frequent_words[: config.most_tokens - _FIRST], split)

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        encoded = []
        for text in texts:
            words = split_words(clean(text), self.split)
            ids = (self._ids.get(word, UNKNOWN) for word in words)
            encoded.append(np.fromiter(ids, np.int32, len(words)))
        return encoded

    def text_of(self, ids: np.ndarray) -> str:
        words = (UNKNOWN_WORD if token == UNKNOWN else self.words[token - _FIRST] for token in ids.tolist())
        return re.sub(_AROUND_NEWLINE, "\n", " ".join(words))

    def build_graph(self) -> "_WordGraph":
        return _WordGraph(self.words, self.split)

    def content(self) -> dict[str, Any]:
        return {"split": self.split, "words": list(self.words)}

    @classmethod
    def from_content(cls, content: dict[str, Any]) -> Self:
        return cls(content["words"], content["split"])


class _WordGraph(TokenizerGraph):
    def __init__(self, words: Sequence[str], split: Split) -> None:
        super().__init__()
        self._words = [word.encode() for word in words]
        self._split = split
        ids = np.arange(UNKNOWN, _FIRST + len(words))
        initializer = tf.lookup.KeyValueTensorInitializer([UNKNOWN_WORD, *self._words], ids, tf.string, tf.int64)
        self._ids = tf.lookup.StaticHashTable(initializer, UNKNOWN)

    def encode(self, texts: tf.Tensor) -> tf.RaggedTensor:
        words = split_words_in_graph(texts, self._split)
        return words.with_values(tf.cast(self._ids.lookup(words.values), tf.int32))

    def decode(self, ids: tf.RaggedTensor) -> tf.Tensor:
        words_by_id = [UNKNOWN_WORD.encode()] * _FIRST + self._words
        joined = tf.strings.reduce_join(tf.gather(words_by_id, ids), axis=-1, separator=" ")
        return tf.strings.regex_replace(joined, _AROUND_NEWLINE, "\n")


def _are_tokenized(counts: Counter[str]) -> bool:
    """Whether commas and full stops stand alone more often than directly after a word."""
    num_alone = counts[","] + counts["."]
    num_after_word = sum(count for chunk, count in counts.items() if chunk[-1] in ",." and chunk[-2:-1].isalnum())
    return num_alone > num_after_word


def _split_further(counts: Counter[str]) -> Counter[str]:
    """Counts of chunks between spaces -> counts of words."""
    words: Counter[str] = Counter()
    for chunk, count in counts.items():
        for word in split_words(chunk, "punctuation"):
            words[word] += count
    return words
