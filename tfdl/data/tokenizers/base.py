"""What every tokenizer is."""

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import tensorflow as tf

from tfdl.data.tokenizers.file import FILE_NAME, file_bytes, read_content
from tfdl.errors import UserError

PAD, START, END, UNKNOWN = range(4)
"""The first ids of tfdl's own tokenizers; ``UNKNOWN`` where there is an unknown."""

_SURROGATES = re.compile("[\ud800-\udfff]")


class Tokenizer(ABC):
    """Text to token ids and back.

    Python and graph give the same. Both read text as Unicode: a lone surrogate (Python) or a sequence of bytes that is
    not UTF-8 (graph) counts as U+FFFD, the replacement character, and so does what decodes to broken UTF-8.
    """

    name: ClassVar[str]
    vocab_size: int
    """Number of ids, special tokens included."""
    pad_id: int = PAD
    start_id: int = START
    end_id: int = END

    @classmethod
    @abstractmethod
    def fit(cls, config: Any, texts: Iterable[str]) -> Self:
        """Learns the vocabulary.

        Args:
            config: the tokenizer's own configuration.
            texts: the training texts; they can be read once.
        """

    def encode(self, text: str) -> list[int]:
        """Ids of one text; no special token is added, and none is read from the text."""
        ids: list[int] = self.encode_batch([text])[0].tolist()
        return ids

    @abstractmethod
    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        """As ``encode`` for each text, quicker: int32 arrays ``(n,)``, which may share memory."""

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """The text of ``ids``; padding, start and end are left out.

        Raises:
            ValueError: an id outside of the vocabulary.
        """
        array = np.asarray(ids, np.int64).reshape(-1)
        if array.size and not 0 <= array.min() <= array.max() < self.vocab_size:
            raise ValueError(f"ids from {array.min()} to {array.max()}, expected 0 to {self.vocab_size - 1}")
        return self.text_of(array[~np.isin(array, (self.pad_id, self.start_id, self.end_id))])

    @abstractmethod
    def text_of(self, ids: np.ndarray) -> str:
        """The text of ids that are no special tokens."""

    def encode_in_graph(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """As ``encode`` in plain TensorFlow ops: strings ``(b,)`` -> int32 ``(b, None)``.

        Whoever saves the graph as a SavedModel keeps ``graph`` as an attribute of what is saved.
        """
        return self.graph.encode(tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace"))

    def decode_in_graph(self, ids: tf.RaggedTensor) -> tf.Tensor:
        """As ``decode`` in plain TensorFlow ops: int32 ``(b, None)`` -> strings ``(b,)``."""
        special = tf.reduce_any([ids.values == token for token in {self.pad_id, self.start_id, self.end_id}], axis=0)
        kept = tf.ragged.boolean_mask(ids, ids.with_values(~special))
        return tf.strings.unicode_transcode(self.graph.decode(kept), "UTF-8", "UTF-8", errors="replace")

    @cached_property
    def graph(self) -> "TokenizerGraph":
        """The tables that the graph looks things up in."""
        with tf.init_scope():  # not inside of the function that is being traced
            return self.build_graph()

    @abstractmethod
    def build_graph(self) -> "TokenizerGraph":
        """The tokenizer as TensorFlow operations."""

    # On disk

    @abstractmethod
    def content(self) -> dict[str, Any]:
        """What was learned, as plain data for a JSON file."""

    @classmethod
    @abstractmethod
    def from_content(cls, content: dict[str, Any]) -> Self:
        """The inverse of ``content``."""

    def save(self, folder: str | Path) -> None:
        """Writes ``tokenizer.json``, the same bytes for equal tokenizers."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / FILE_NAME).write_bytes(file_bytes(self.name, self.content()))

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The tokenizer that ``save`` wrote.

        Raises:
            UserError: there is none of this kind, or its file is damaged.
        """
        name, content = read_content(Path(folder))
        if name != cls.name:
            raise UserError(f"{str(Path(folder) / FILE_NAME)!r} holds a {name} tokenizer, expected {cls.name}")
        try:
            return cls.from_content(content)
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{str(Path(folder) / FILE_NAME)!r} was written by another version of tfdl: {error!r}"
            ) from error

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what ``save`` writes; what is kept of tokenized text belongs to it."""
        return hashlib.sha256(file_bytes(self.name, self.content())).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


class TokenizerGraph(tf.Module, ABC):
    """A tokenizer's tables and its functions in a graph."""

    @abstractmethod
    def encode(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Valid UTF-8 ``(b,)`` -> int32 ``(b, None)``."""

    @abstractmethod
    def decode(self, ids: tf.RaggedTensor) -> tf.Tensor:
        """int32 ``(b, None)`` without special tokens -> strings ``(b,)``, which may be broken UTF-8."""


def clean(text: str) -> str:
    """``text`` with U+FFFD where it had lone surrogates, so that it can be written as UTF-8."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def cut(flat: np.ndarray, lengths: Iterable[int]) -> list[np.ndarray]:
    """Consecutive pieces of ``flat``."""
    pieces, start = [], 0
    for length in lengths:
        pieces.append(flat[start : start + length])
        start += length
    return pieces
