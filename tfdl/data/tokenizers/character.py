"""A token for each character that occurs in the training texts."""

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
import tensorflow as tf

from tfdl.config.tokenizers import TokenizerConfig
from tfdl.data.tokenizers.base import UNKNOWN, Tokenizer, TokenizerGraph, clean, cut

_FIRST = UNKNOWN + 1


class CharacterTokenizer(Tokenizer):
    """Characters (Unicode code points) are the tokens from 4 on, in the order of their numbers.

    All other characters are token 3, the unknown token. It decodes to U+FFFD.

    Args:
        characters: the vocabulary, in any order.
    """

    name = "character"
    reads_parts = True

    def __init__(self, characters: str) -> None:
        self.characters = "".join(sorted(set(characters)))
        self.vocab_size = _FIRST + len(self.characters)
        code_points = _code_points(self.characters)
        highest = int(code_points.max(initial=0))
        # Code point -> id. The entry after the highest character serves for all above it.
        self._ids = np.full(highest + 2, UNKNOWN, np.int32)
        self._ids[code_points] = np.arange(_FIRST, self.vocab_size)

    @classmethod
    def fit(cls, config: TokenizerConfig, texts: Iterable[str]) -> Self:  # noqa: ARG003
        """See ``Tokenizer.fit``; learns all characters of the texts."""
        characters: set[str] = set()
        for text in texts:
            characters.update(clean(text))
        return cls("".join(characters))

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        code_points = _code_points(clean("".join(texts)))
        flat = np.take(self._ids, code_points, mode="clip")
        return cut(flat, map(len, texts))

    def text_of(self, ids: np.ndarray) -> str:
        code_points = np.concatenate([np.full(_FIRST, 0xFFFD), _code_points(self.characters)])
        return code_points[ids].astype("<u4").tobytes().decode("utf-32-le")

    def build_graph(self) -> "_CharacterGraph":
        return _CharacterGraph(_code_points(self.characters).astype(np.int32))

    def content(self) -> dict[str, Any]:
        return {"characters": self.characters}

    @classmethod
    def from_content(cls, content: dict[str, Any]) -> Self:
        return cls(content["characters"])


class _CharacterGraph(TokenizerGraph):
    def __init__(self, code_points: np.ndarray) -> None:
        super().__init__()
        self._code_points = code_points

    def encode(self, texts: tf.Tensor) -> tf.RaggedTensor:
        characters = tf.strings.unicode_decode(texts, "UTF-8")
        # The search returns the place after the last character for characters above it. An entry of -1, which is no
        # character, stands there.
        known = tf.constant([*self._code_points, -1], tf.int32)
        numbers = tf.searchsorted(known[:-1], characters.values, out_type=tf.int32)
        is_known = tf.gather(known, numbers) == characters.values
        return characters.with_values(tf.where(is_known, numbers + _FIRST, UNKNOWN))

    def decode(self, ids: tf.RaggedTensor) -> tf.Tensor:
        code_points = tf.constant([0xFFFD] * _FIRST + self._code_points.tolist(), tf.int32)
        return tf.strings.unicode_encode(tf.gather(code_points, ids), "UTF-8")


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), "<u4")
