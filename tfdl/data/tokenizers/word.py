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
    """Words from token 4 on, the most frequent first; any other one is token 3, which decodes to ``<unk>``.

    A text that says ``<unk>`` says token 3. Text is decoded with a space between words, and none around newlines.

    Args:
        words: the vocabulary, by id.
        split: how texts are cut into words, as ``word_split`` explains.
    """

    name = "word"

    def __init__(self, words: Sequence[str], split: Split) -> None:
        self.words, self.split = tuple(words), split
        self.vocab_size = _FIRST + len(self.words)
        self._ids = {word: place for place, word in enumerate(self.words, _FIRST)}

    @classmethod
    def fit(cls, config: WordTokenizerConfig, texts: Iterable[str]) -> Self:
        """Takes words that occur twice at least, so that the model meets unknown words when it is trained.

        Texts are taken to be tokenized already, and cut at spaces, where most commas and full stops stand alone.
        """
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(split_words(clean(text), "spaces"))
        split: Split = "spaces" if _are_tokenized(counts) else "punctuation"
        if split == "punctuation":
            counts = _split_further(counts)
        del counts[UNKNOWN_WORD]
        words = sorted((word for word, count in counts.items() if count > 1), key=lambda word: (-counts[word], word))
        return cls(words[: config.most_tokens - _FIRST], split)

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        ids = self._ids
        words = (split_words(clean(text), self.split) for text in texts)
        return [np.fromiter((ids.get(word, UNKNOWN) for word in some), np.int32, len(some)) for some in words]

    def text_of(self, ids: np.ndarray) -> str:
        words = (UNKNOWN_WORD if place == UNKNOWN else self.words[place - _FIRST] for place in ids.tolist())
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
        self._words, self._split = [word.encode() for word in words], split
        ids = np.arange(UNKNOWN, _FIRST + len(words))
        initializer = tf.lookup.KeyValueTensorInitializer([UNKNOWN_WORD, *self._words], ids, tf.string, tf.int64)
        self._ids = tf.lookup.StaticHashTable(initializer, UNKNOWN)

    def encode(self, texts: tf.Tensor) -> tf.RaggedTensor:
        words = split_words_in_graph(texts, self._split)
        return words.with_values(tf.cast(self._ids.lookup(words.values), tf.int32))

    def decode(self, ids: tf.RaggedTensor) -> tf.Tensor:
        words = tf.gather([UNKNOWN_WORD.encode()] * _FIRST + self._words, ids)
        return tf.strings.regex_replace(tf.strings.reduce_join(words, axis=-1, separator=" "), _AROUND_NEWLINE, "\n")


def _are_tokenized(counts: Counter[str]) -> bool:
    """Whether commas and full stops stand alone more often than behind a word."""
    alone = counts[","] + counts["."]
    behind = sum(count for chunk, count in counts.items() if chunk[-1] in ",." and chunk[-2:-1].isalnum())
    return alone > behind


def _split_further(counts: Counter[str]) -> Counter[str]:
    """Counts of what is between spaces -> counts of words."""
    words: Counter[str] = Counter()
    for chunk, count in counts.items():
        for word in split_words(chunk, "punctuation"):
            words[word] += count
    return words
