"""The tokenizer of GPT-2, and of other models with the same kind of files."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from tfdl.config.tokenizers import GPT2TokenizerConfig
from tfdl.data.tokenizers.byte_pair import BytePairTokenizer
from tfdl.errors import UserError

END_OF_TEXT = "<|endoftext|>"
"""GPT-2's only special token."""


# Names of the vocabulary and the merges: Hugging Face's, then OpenAI's.
_FILES = (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"))


class SpecialIds(NamedTuple):
    """Ids of tokens that stand for no text."""

    pad: int
    start: int
    end: int
    others: tuple[int, ...] = ()
    """Such as those that mark the turns of a chat."""


class GPT2Tokenizer(BytePairTokenizer):
    """Byte pairs as Hugging Face publishes them; ``<|endoftext|>`` is padding, start and end.

    Results equal those of ``transformers.GPT2Tokenizer(..., split_special_tokens=True)``: ``<|endoftext|>`` in a text
    is not recognized as the special token.

    Args:
        vocabulary: as for ``BytePairTokenizer``.
        merges: as for ``BytePairTokenizer``.
        digits_alone: as for ``BytePairTokenizer``; true in SmolLM2's tokenizer.
        special: the tokens that are no text in the vocabulary of another model, which may lack bytes.
    """

    name = "gpt2"

    def __init__(
        self,
        vocabulary: Sequence[str],
        merges: Sequence[tuple[str, str]],
        digits_alone: bool = False,
        special: SpecialIds | None = None,
    ) -> None:
        super().__init__(vocabulary, merges, digits_alone, may_lack_bytes=special is not None)
        self._special = special
        if special is None:
            end = self._vocabulary.index(END_OF_TEXT)
            special = SpecialIds(end, end, end)
        self.pad_id = special.pad
        self.start_id = special.start
        self.end_id = special.end
        self._special_ids = frozenset((*special[:3], *special.others))

    @property
    def special_ids(self) -> frozenset[int]:
        return self._special_ids

    def content(self) -> dict[str, Any]:
        content = super().content()
        # Left out where they are GPT-2's, so that the files of older runs stay the same.
        if self._digits_alone:
            content["digits_alone"] = True
        if self._special is not None:
            content["special"] = {**self._special._asdict(), "others": list(self._special.others)}
        return content

    @classmethod
    def from_content(cls, content: dict[str, Any]) -> Self:
        special = None
        if "special" in content:
            special = SpecialIds(**{**content["special"], "others": tuple(content["special"]["others"])})
        merges = [tuple(pair.split(" ")) for pair in content["merges"]]
        return cls(content["vocabulary"], merges, content.get("digits_alone", False), special)

    @classmethod
    def fit(cls, config: GPT2TokenizerConfig, texts: Iterable[str]) -> Self:  # noqa: ARG003
        """Reads vocab.json and merges.txt (or OpenAI's encoder.json and vocab.bpe) from the configured folder.

        Args:
            config: contains the folder.
            texts: not read.

        Raises:
            UserError: a file is missing, or is not what it should be.
        """
        assert config.folder is not None
        folder = Path(config.folder).expanduser()
        vocabulary_file, merges_file = next((names for names in _FILES if (folder / names[0]).exists()), _FILES[0])
        vocabulary = _read_vocabulary(folder / vocabulary_file)
        merges = _read_merges(folder / merges_file)
        try:
            return cls(vocabulary, merges)
        except ValueError as error:
            raise UserError(
                f"{vocabulary_file} and {merges_file} in {str(folder)!r} do not belong together: {error}"
            ) from error


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
    if END_OF_TEXT not in ids:
        raise UserError(f"{str(path)!r} has no token {END_OF_TEXT}, expected GPT-2's vocabulary")
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
