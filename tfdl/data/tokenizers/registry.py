"""Tokenizers by name: learned from texts, or loaded from a run."""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from tfdl.config.tokenizers import TOKENIZERS, TokenizerConfig
from tfdl.data.tokenizers.base import Tokenizer
from tfdl.data.tokenizers.file import FILE_NAME, read_content
from tfdl.data.tokenizers.parts import parts_of
from tfdl.errors import UserError


def fit_tokenizer(config: TokenizerConfig, texts: Iterable[str]) -> Tokenizer:
    """Learns a tokenizer in one pass. The same texts and configuration give the same tokenizer.

    Args:
        config: the tokenizer's configuration.
        texts: the training texts; ``byte`` and ``gpt2`` do not read them.

    Raises:
        UserError: gpt2's files are missing or cannot be used.
    """
    tokenizer_class = _class_of(config.name)
    if tokenizer_class.reads_parts:
        texts = chain.from_iterable(map(parts_of, texts))
    return tokenizer_class.fit(config, texts)


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """The tokenizer that ``Tokenizer.save`` wrote to ``folder``.

    Raises:
        UserError: no such file, a damaged file, or a tokenizer of an unknown name.
    """
    name, _ = read_content(Path(folder))
    if name not in TOKENIZERS:
        raise UserError(f"{Path(folder) / FILE_NAME} is of {name!r}, expected one of {', '.join(TOKENIZERS)}")
    return _class_of(name).load(folder)


def _class_of(name: str) -> type[Tokenizer]:
    tokenizer_class: type[Tokenizer] = TOKENIZERS.load(name)
    return tokenizer_class
