"""The base class of all tokenizers."""

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
"""The first ids of tfdl's own tokenizers; ``UNKNOWN`` only in those with an unknown token."""

_SURROGATES = re.compile("[\ud800-\udfff]")


class Tokenizer(ABC):
    """Text to token ids and back.

    Results are the same in Python and in a graph. Text is Unicode: a lone surrogate (in Python) and bytes that are not
    UTF-8 (in a graph) are read as U+FFFD, the replacement character. Ids that decode to invalid UTF-8 give U+FFFD too.
    """

    name: ClassVar[str]
    vocab_size: int
    """Number of ids, special tokens included."""
    pad_id: int = PAD
    start_id: int = START
    end_id: int = END
    reads_parts: ClassVar[bool] = False
    """Whether the tokens of a text are those of its parts, if it is cut between a word and a space or newline after it.
    Then long texts, such as whole files, are learned from and tokenized in parts."""
    has_graph: ClassVar[bool] = True
    """Whether the tokenizer can be part of a TensorFlow graph. Without it an exported model takes token numbers."""

    @property
    def special_ids(self) -> frozenset[int]:
        """Ids that stand for no text: padding, start, end, and others that a tokenizer may have."""
        return frozenset((self.pad_id, self.start_id, self.end_id))

    @classmethod
    @abstractmethod
    def fit(cls, config: Any, texts: Iterable[str]) -> Self:
        """Learns the vocabulary.

        Args:
            config: the tokenizer's configuration.
            texts: the training texts; they can be read only once.
        """

    def encode(self, text: str) -> list[int]:
        """Ids of one text. No special token is added, and none is recognized in the text."""
        ids: list[int] = self.encode_batch([text])[0].tolist()
        return ids

    @abstractmethod
    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        """As ``encode`` for several texts, and faster: int32 arrays ``(n,)``, which may share memory."""

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """The text of ``ids``; special tokens are left out.

        Raises:
            ValueError: an id outside of the vocabulary.
        """
        array = np.asarray(ids, np.int64).reshape(-1)
        if array.size and not 0 <= array.min() <= array.max() < self.vocab_size:
            raise ValueError(f"ids from {array.min()} to {array.max()}, expected 0 to {self.vocab_size - 1}")
        is_special = np.isin(array, list(self.special_ids))
        return self.text_of(array[~is_special])

    @abstractmethod
    def text_of(self, ids: np.ndarray) -> str:
        """The text of int64 ids ``(n,)`` without special tokens."""

    def encode_in_graph(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """As ``encode`` in plain TensorFlow ops: strings ``(b,)`` -> int32 ``(b, None)``.

        An object that is saved as a SavedModel with these ops needs an attribute for ``graph``, which holds the tables.
        """
        valid_texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
        return self.graph.encode(valid_texts)

    def decode_in_graph(self, ids: tf.RaggedTensor) -> tf.Tensor:
        """As ``decode`` in plain TensorFlow ops: int32 ``(b, None)`` -> strings ``(b,)``."""
        is_special = tf.reduce_any([ids.values == special for special in sorted(self.special_ids)], axis=0)
        kept = tf.ragged.boolean_mask(ids, ids.with_values(~is_special))
        texts = self.graph.decode(kept)
        return tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")

    @cached_property
    def graph(self) -> "TokenizerGraph":
        """The tokenizer's lookup tables and functions for a graph, made once."""
        with tf.init_scope():  # outside of a function that is being traced
            return self.build_graph()

    @abstractmethod
    def build_graph(self) -> "TokenizerGraph":
        """The tokenizer as TensorFlow operations."""

    # On disk

    @abstractmethod
    def content(self) -> dict[str, Any]:
        """What the tokenizer has learned, as plain data for a JSON file."""

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
            UserError: no tokenizer of this class, or its file is damaged.
        """
        path = Path(folder) / FILE_NAME
        name, content = read_content(Path(folder))
        if name != cls.name:
            raise UserError(f"{str(path)!r} holds a {name} tokenizer, expected {cls.name}")
        try:
            return cls.from_content(content)
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{str(path)!r} was written by another version of tfdl: {error!r}") from error

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what ``save`` writes; tokens that are kept on disk are found by it."""
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
        """int32 ``(b, None)`` without special tokens -> strings ``(b,)``, which may be invalid UTF-8."""


def clean(text: str) -> str:
    """``text`` with U+FFFD in place of lone surrogates, so that it can be encoded as UTF-8."""
    if text.isascii():
        return text
    return _SURROGATES.sub("\ufffd", text)


def cut(flat: np.ndarray, lengths: Iterable[int]) -> list[np.ndarray]:
    """Cuts an array into consecutive pieces.

    Args:
        flat: all pieces, one after the other.
        lengths: the length of each piece.
    """
    pieces = []
    start = 0
    for length in lengths:
        pieces.append(flat[start : start + length])
        start += length
    return pieces
