"""A token for each byte of UTF-8. There is nothing to learn, and no text has unknown tokens."""

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
import tensorflow as tf

from tfdl.config.tokenizers import TokenizerConfig
from tfdl.data.tokenizers.base import END, Tokenizer, TokenizerGraph, clean, cut

_FIRST = END + 1


class ByteTokenizer(Tokenizer):
    """Byte ``b`` of a text's UTF-8 is token ``b + 3``. Every text is decoded exactly."""

    name = "byte"
    reads_parts = True
    vocab_size = _FIRST + 256

    @classmethod
    def fit(cls, config: TokenizerConfig, texts: Iterable[str]) -> Self:  # noqa: ARG003
        """See ``Tokenizer.fit``; nothing is learned, and the texts are not read."""
        return cls()

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        encoded = [clean(text).encode() for text in texts]
        flat = np.frombuffer(b"".join(encoded), np.uint8) + np.int32(_FIRST)
        return cut(flat, map(len, encoded))

    def text_of(self, ids: np.ndarray) -> str:
        return (ids - _FIRST).astype(np.uint8).tobytes().decode("utf-8", "replace")

    def build_graph(self) -> "_ByteGraph":
        return _ByteGraph()

    def content(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_content(cls, content: dict[str, Any]) -> Self:  # noqa: ARG003
        return cls()


class _ByteGraph(TokenizerGraph):
    def encode(self, texts: tf.Tensor) -> tf.RaggedTensor:
        flat = tf.io.decode_raw(tf.strings.reduce_join(texts), tf.uint8)
        lengths = tf.cast(tf.strings.length(texts), tf.int64)
        return tf.RaggedTensor.from_row_lengths(tf.cast(flat, tf.int32) + _FIRST, lengths)

    def decode(self, ids: tf.RaggedTensor) -> tf.Tensor:
        all_bytes = [bytes([value]) for value in range(256)]
        return tf.strings.reduce_join(tf.gather(all_bytes, ids - _FIRST), axis=-1)
