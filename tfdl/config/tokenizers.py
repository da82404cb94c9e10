"""Tokenizers: how texts become numbers. There is one dataclass for each.

docs/tokenizers.md describes when to use which.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tfdl.config.choice import choose
from tfdl.config.fields import check_types, require
from tfdl.registry import Registry

DEFAULT_TOKENIZER = "bpe"
"""The tokenizer of data sets that declare none."""


@dataclass(frozen=True)
class TokenizerConfig:
    """What all tokenizers' configurations have in common."""

    name: ClassVar[str]
    reserves_padding: ClassVar[bool] = True
    """Whether token 0 stands for padding and never for text."""

    def __post_init__(self) -> None:
        check_types(self, "tokenizer.")


@dataclass(frozen=True)
class ByteTokenizerConfig(TokenizerConfig):
    """A token for each byte of UTF-8; nothing is learned."""

    name: ClassVar[str] = "byte"


@dataclass(frozen=True)
class CharacterTokenizerConfig(TokenizerConfig):
    """A token for each character of the training texts."""

    name: ClassVar[str] = "character"


@dataclass(frozen=True)
class _SizedTokenizerConfig(TokenizerConfig):
    """What tokenizers with a vocabulary of a chosen size have in common."""

    default_size: ClassVar[int]
    smallest_size: ClassVar[int]

    vocab_size: int | None = None
    """The largest number of tokens, including special tokens; by default the tokenizer's own number."""

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = self.vocab_size is None or self.vocab_size >= self.smallest_size
        expected = f"a number of at least {self.smallest_size} for {self.name}"
        require(fits, "tokenizer.vocab_size", self.vocab_size, expected)

    @property
    def most_tokens(self) -> int:
        """The given ``vocab_size``, or the tokenizer's default."""
        return self.default_size if self.vocab_size is None else self.vocab_size


@dataclass(frozen=True)
class WordTokenizerConfig(_SizedTokenizerConfig):
    """A token for each of the most frequent words; by default 50,000 tokens."""

    name: ClassVar[str] = "word"
    default_size: ClassVar[int] = 50_000
    smallest_size: ClassVar[int] = 5  # the four special tokens and one word


@dataclass(frozen=True)
class BytePairTokenizerConfig(_SizedTokenizerConfig):
    """Byte-pair encoding, learned from the training texts; by default 8,000 tokens."""

    name: ClassVar[str] = "bpe"
    default_size: ClassVar[int] = 8_000
    smallest_size: ClassVar[int] = 259  # three special tokens and all bytes


@dataclass(frozen=True)
class GPT2TokenizerConfig(TokenizerConfig):
    """GPT-2's byte-pair encoding, read from the files that Hugging Face publishes."""

    name: ClassVar[str] = "gpt2"
    reserves_padding: ClassVar[bool] = False

    folder: str | None = None
    """The folder of vocab.json and merges.txt."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(bool(self.folder), "tokenizer.folder", self.folder, "the folder of vocab.json and merges.txt")


@dataclass(frozen=True)
class HuggingFaceTokenizerConfig(TokenizerConfig):
    """Any tokenizer that Hugging Face's library computes; models that use it are exported for token numbers."""

    name: ClassVar[str] = "huggingface"

    folder: str | None = None
    """The folder of tokenizer.json, or of BERT's vocab.txt."""
    pads_with_0: bool = False
    """Whether token 0 is the tokenizer's padding, as in BERT's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(bool(self.folder), "tokenizer.folder", self.folder, "the folder of tokenizer.json")

    @property
    def reserves_padding(self) -> bool:  # type: ignore[override]
        """Whether token 0 stands for padding."""
        return self.pads_with_0


TOKENIZERS: Registry[type[TokenizerConfig]] = Registry("tokenizer")
"""Every tokenizer's configuration by name."""


def register_tokenizer(config: type[TokenizerConfig], implementation: Any) -> None:
    """Declares a tokenizer.

    Args:
        config: a frozen dataclass that derives from ``TokenizerConfig``; its ``name`` is the tokenizer's name.
        implementation: ``"module:Class"`` or the class itself, a ``tfdl.data.tokenizers.Tokenizer``.

    Raises:
        ValueError: the name is taken, or not a plain name.
    """
    TOKENIZERS.register(config.name, config, implementation)


def choose_tokenizer(value: Any, default: str = DEFAULT_TOKENIZER) -> TokenizerConfig:
    """A tokenizer's configuration.

    Args:
        value: a configuration, a name, a mapping of fields with or without ``name``, or none.
        default: the tokenizer's name, if the value has none.

    Raises:
        UserError: an unknown name or field, or a value out of range.
    """
    fields = {} if value is None else value
    if isinstance(fields, Mapping):
        fields = _without_unset_fields({"name": default, **fields})
    config: TokenizerConfig = choose(TOKENIZERS, fields)
    return config


def _without_unset_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Runs of tfdl 0.1 list ``vocab_size: null`` and ``folder: null`` for every tokenizer, whether it has them or
    not."""
    return {key: value for key, value in fields.items() if value is not None or key not in ("vocab_size", "folder")}


register_tokenizer(ByteTokenizerConfig, "tfdl.data.tokenizers.byte:ByteTokenizer")
register_tokenizer(CharacterTokenizerConfig, "tfdl.data.tokenizers.character:CharacterTokenizer")
register_tokenizer(WordTokenizerConfig, "tfdl.data.tokenizers.word:WordTokenizer")
register_tokenizer(BytePairTokenizerConfig, "tfdl.data.tokenizers.bpe:BPETokenizer")
register_tokenizer(GPT2TokenizerConfig, "tfdl.data.tokenizers.gpt2:GPT2Tokenizer")
register_tokenizer(HuggingFaceTokenizerConfig, "tfdl.data.tokenizers.huggingface:HuggingFaceTokenizer")
