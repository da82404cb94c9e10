"""How text becomes numbers."""

from dataclasses import dataclass
from typing import Literal

from tfdl.config.fields import check_types, require

# Tokenizers whose vocabulary has a chosen size -> the size where none is given, and the least that is of use: special
# tokens and, for those of bytes, all 256 of them.
_SIZES = {"word": (50_000, 5), "bpe": (8_000, 259)}


@dataclass(frozen=True)
class TokenizerConfig:
    """A tokenizer by name; see docs/tokenizers.md for which to take when."""

    name: Literal["byte", "character", "word", "bpe", "gpt2"] = "byte"
    """All but ``byte`` and ``gpt2`` learn their vocabulary from the training texts."""
    vocab_size: int | None = None
    """Most tokens of ``word`` (none: 50,000) and ``bpe`` (none: 8,000), special tokens included."""
    folder: str | None = None
    """Where ``gpt2`` finds vocab.json and merges.txt, as Hugging Face publishes them."""

    def __post_init__(self) -> None:
        check_types(self, "tokenizer.")
        if self.name in _SIZES:
            least = _SIZES[self.name][1]
            fits = self.vocab_size is None or self.vocab_size >= least
            require(fits, "tokenizer.vocab_size", self.vocab_size, f"a number of at least {least} for {self.name}")
        else:
            expected = f"none for {self.name}, whose vocabulary is given; leave it out"
            require(self.vocab_size is None, "tokenizer.vocab_size", self.vocab_size, expected)
        if self.name == "gpt2":
            require(bool(self.folder), "tokenizer.folder", self.folder, "the folder of vocab.json and merges.txt")
        else:
            expected = f"none for {self.name}; only gpt2 reads a folder"
            require(self.folder is None, "tokenizer.folder", self.folder, expected)

    @property
    def most_tokens(self) -> int:
        """The given ``vocab_size`` or the tokenizer's default; only for those that have one."""
        return self.vocab_size if self.vocab_size is not None else _SIZES[self.name][0]
