"""A token for each character that the training texts have."""

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
import tensorflow as tf

from tfdl.config.tokenizers import TokenizerConfig
from tfdl.data.tokenizers.base import UNKNOWN, Tokenizer, TokenizerGraph, clean, cut

_FIRST = UNKNOWN + 1


class CharacterTokenizer(Tokenizer):
    """Characters (Unicode code points) in the order of their numbers, from token 4 on; any other one is token 3.

    The unknown token decodes to U+FFFD.

    Args:
        characters: the vocabulary, in any order.
    """

    name = "character"

    def __init__(self, characters: str) -> None:
        self.characters = "".join(sorted(set(characters)))
        self.vocab_size = _FIRST + len(self.characters)
        code_points = _code_points(self.characters)
        # One more than the highest character stands for all above it.
        self._ids = np.full(int(code_points.max(initial=0)) + 2, UNKNOWN, np.int32)
        self._ids[code_points] = np.arange(_FIRST, self.vocab_size)

    @classmethod
    def fit(cls, config: TokenizerConfig, texts: Iterable[str]) -> Self:  # noqa: ARG003
        found: set[str] = set()
        for text in texts:
            found.update(clean(text))
        return cls("".join(found))

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        flat = np.take(self._ids, _code_points(clean("".join(texts))), mode="clip")
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
        # No character is -1: with it at the end, every place that the search finds can be looked at.
        known = tf.constant([*self._code_points, -1], tf.int32)
        places = tf.searchsorted(known[:-1], characters.values, out_type=tf.int32)
        found = tf.gather(known, places) == characters.values
        return characters.with_values(tf.where(found, places + _FIRST, UNKNOWN))

    def decode(self, ids: tf.RaggedTensor) -> tf.Tensor:
        code_points = tf.constant([0xFFFD] * _FIRST + self._code_points.tolist(), tf.int32)
        return tf.strings.unicode_encode(tf.gather(code_points, ids), "UTF-8")


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), "<u4")
