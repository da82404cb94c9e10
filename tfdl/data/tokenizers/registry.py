"""Tokenizers by name: learned from texts, or read from a run."""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from tfdl.config.tokenizers import TokenizerConfig
from tfdl.data.tokenizers.base import Tokenizer
from tfdl.data.tokenizers.file import FILE_NAME, read_content
from tfdl.errors import UserError

# Name -> module and class; a module is loaded when its tokenizer is asked for.
_CLASSES = {
    "bpe": ("tfdl.data.tokenizers.bpe", "BPETokenizer"),
    "byte": ("tfdl.data.tokenizers.byte", "ByteTokenizer"),
    "character": ("tfdl.data.tokenizers.character", "CharacterTokenizer"),
    "gpt2": ("tfdl.data.tokenizers.gpt2", "GPT2Tokenizer"),
    "word": ("tfdl.data.tokenizers.word", "WordTokenizer"),
}


def fit_tokenizer(config: TokenizerConfig, texts: Iterable[str]) -> Tokenizer:
    """Learns the vocabulary from ``texts``, in one pass; the same texts and configuration give the same tokenizer.

    ``byte`` and ``gpt2`` have nothing to learn and do not touch ``texts``.

    Raises:
        UserError: gpt2's files are missing or cannot be used.
    """
    return _find_class(config.name).fit(config, texts)


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """The tokenizer that ``Tokenizer.save`` wrote to ``folder``.

    Raises:
        UserError: there is none, or its file is damaged.
    """
    name, _ = read_content(Path(folder))
    if name not in _CLASSES:
        raise UserError(f"{Path(folder) / FILE_NAME} is of {name!r}, expected one of {', '.join(_CLASSES)}")
    return _find_class(name).load(folder)


def _find_class(name: str) -> type[Tokenizer]:
    module, class_name = _CLASSES[name]
    found: type[Tokenizer] = getattr(import_module(module), class_name)
    return found
