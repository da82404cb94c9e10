"""A tokenizer of another model, computed by Hugging Face's library."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import tensorflow as tf
from tokenizers import Tokenizer as Library

from tfdl.config.tokenizers import HuggingFaceTokenizerConfig
from tfdl.data.tokenizers.base import Tokenizer, TokenizerGraph, clean
from tfdl.data.tokenizers.huggingface_files import (
    TOKENIZER_FILE,
    library_of,
    read_library_tokenizer,
    user_errors_of_library,
)
from tfdl.errors import UserError


class HuggingFaceTokenizer(Tokenizer):
    """The tokenizer that a ``tokenizer.json`` of Hugging Face's library describes, such as BERT's or Llama's.

    Results equal those of ``transformers`` with ``split_special_tokens=True``: special tokens in a text are not
    recognized. The library's operations have no counterpart in TensorFlow, so there is no form for a graph.

    Args:
        described: the content of ``tokenizer.json``.
        vocab_size: number of ids, which may be more than the tokenizer's: some models have unused ones.
        special_ids: the ids of padding, start and end.
    """

    name = "huggingface"
    has_graph = False

    def __init__(self, described: dict[str, Any], vocab_size: int, special_ids: tuple[int, int, int]) -> None:
        self._described = described
        self.vocab_size = vocab_size
        self.pad_id, self.start_id, self.end_id = special_ids

    @classmethod
    def fit(cls, config: HuggingFaceTokenizerConfig, texts: Iterable[str]) -> Self:  # noqa: ARG003
        """Reads the files of the configured folder.

        Args:
            config: contains the folder.
            texts: not read.

        Raises:
            UserError: a file is missing, or is not what it should be.
        """
        assert config.folder is not None
        read = read_library_tokenizer(Path(config.folder).expanduser())
        if config.pads_with_0 and read.special_ids[0] != 0:
            raise UserError(f"tokenizer.folder={config.folder!r} has padding {read.special_ids[0]}, expected token 0")
        return cls(read.described, read.vocab_size, read.special_ids)

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        with user_errors_of_library(TOKENIZER_FILE):  # such as an expression that takes too long
            encoded = self._library.encode_batch([clean(text) for text in texts], add_special_tokens=False)
        return [np.array(encoding.ids, np.int32) for encoding in encoded]

    def encode_in_graph(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """See ``Tokenizer.encode_in_graph``; only outside of a graph.

        Raises:
            UserError: within a graph.
        """
        if not tf.executing_eagerly():
            return super().encode_in_graph(texts)
        rows = self.encode_batch([text.decode("utf-8", "replace") for text in texts.numpy().tolist()])
        flat = np.concatenate([np.zeros(0, np.int32), *rows])
        return tf.RaggedTensor.from_row_lengths(flat, [len(row) for row in rows])

    @property
    def described(self) -> dict[str, Any]:
        """The content of ``tokenizer.json``."""
        return self._described

    def text_of(self, ids: np.ndarray) -> str:
        with user_errors_of_library(TOKENIZER_FILE):
            return self._library.decode(ids.tolist(), skip_special_tokens=True)

    def build_graph(self) -> TokenizerGraph:
        """See ``Tokenizer.build_graph``.

        Raises:
            UserError: always.
        """
        raise UserError(
            "the tokenizer huggingface has no form in a TensorFlow graph, expected one of tfdl's own; pass token"
            " numbers, or tokenize in Python (encode_batch)"
        )

    def content(self) -> dict[str, Any]:
        return {
            "tokenizer.json": self._described,
            "vocab_size": self.vocab_size,
            "special_ids": [self.pad_id, self.start_id, self.end_id],
        }

    @classmethod
    def from_content(cls, content: dict[str, Any]) -> Self:
        pad_id, start_id, end_id = content["special_ids"]
        return cls(content["tokenizer.json"], content["vocab_size"], (pad_id, start_id, end_id))

    @cached_property
    def _library(self) -> Library:
        library = library_of(self._described, TOKENIZER_FILE)
        library.no_padding()
        library.no_truncation()
        library.encode_special_tokens = True  # special tokens in a text are text
        return library
