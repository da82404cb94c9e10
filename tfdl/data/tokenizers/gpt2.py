"""The tokenizer of GPT-2, and of other models with the same kind of files."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

from tfdl.config.tokenizers import GPT2TokenizerConfig
from tfdl.data.tokenizers.byte_pair import BytePairTokenizer
from tfdl.errors import UserError

_END_OF_TEXT = "<|endoftext|>"


class GPT2Tokenizer(BytePairTokenizer):
    """Byte pairs as Hugging Face publishes them; ``<|endoftext|>`` is padding, start and end.

    Results equal those of ``transformers.GPT2Tokenizer(..., split_special_tokens=True)``: ``<|endoftext|>`` in a text
    is not recognized as the special token.
    """

    name = "gpt2"

    def __init__(self, vocabulary: Sequence[str], merges: Sequence[tuple[str, str]]) -> None:
        super().__init__(vocabulary, merges)
        self.pad_id = self.start_id = self.end_id = self._vocabulary.index(_END_OF_TEXT)

    @classmethod
    def fit(cls, config: GPT2TokenizerConfig, texts: Iterable[str]) -> Self:  # noqa: ARG003
        """Reads vocab.json and merges.txt from the configured folder.

        Args:
            config: contains the folder.
            texts: not read.

        Raises:
            UserError: a file is missing, or is not what it should be.
        """
        assert config.folder is not None
        folder = Path(config.folder).expanduser()
        vocabulary = _read_vocabulary(folder / "vocab.json")
        merges = _read_merges(folder / "merges.txt")
        try:
            return cls(vocabulary, merges)
        except ValueError as error:
            raise UserError(f"vocab.json and merges.txt in {str(folder)!r} do not belong together: {error}") from error


def _read_vocabulary(path: Path) -> list[str]:
    """Tokens in the order of their ids."""
    text = _read(path)
    try:
        ids: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{str(path)!r} is not JSON ({error}); expected tokens with their numbers") from error
    # Compared as strings, since JSON's true would equal the number 1.
    if not isinstance(ids, dict) or sorted(map(repr, ids.values())) != sorted(map(repr, range(len(ids)))):
        raise UserError(f"{str(path)!r} has other contents, expected tokens with the numbers from 0 on, none left out")
    if _END_OF_TEXT not in ids:
        raise UserError(f"{str(path)!r} has no token {_END_OF_TEXT}, expected GPT-2's vocabulary")
    return sorted(ids, key=ids.__getitem__)


def _read_merges(path: Path) -> list[tuple[str, str]]:
    """Pairs in the order of the lines."""
    merges = []
    for number, line in enumerate(_read(path).split("\n"), start=1):
        if not line or line.startswith("#version"):
            continue
        tokens = line.rstrip("\r").split(" ")
        if len(tokens) != 2:
            raise UserError(f"{str(path)!r} line {number} is {line[:40]!r}, expected two tokens with a space between")
        left, right = tokens
        merges.append((left, right))
    return merges


def _read(path: Path) -> str:
    expected = "expected a file as Hugging Face publishes it"
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise UserError(f"cannot read {str(path)!r} ({error.strerror}); {expected}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"cannot read {str(path)!r} (not UTF-8 text); {expected}") from error
