"""Texts as token numbers: made once, kept on disk, and shared by all ranks of a machine."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tfdl.data.texts import Row, TextSplit
from tfdl.data.tokenizers.parts import parts_of
from tfdl.data.tokens.growing_arrays import ArrayInMemory
from tfdl.data.tokens.table_folder import NewArray, make_folder

_LABEL = "label"
# Texts that are tokenized together: at most so many, of about so many characters. They bound the memory that
# tokenizing takes.
_MOST_ROWS = 4096
_MOST_CHARACTERS = 2**22


@dataclass(frozen=True)
class TokenColumn:
    """The texts of one role, one after the other."""

    tokens: np.ndarray
    """All tokens of the split, in the smallest unsigned type that the vocabulary fits in."""
    starts: np.ndarray
    """int64 ``(n + 1,)``: text ``i`` has the tokens from ``starts[i]`` to ``starts[i + 1]``."""

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each text."""
        return np.diff(self.starts)

    def __len__(self) -> int:
        return len(self.starts) - 1


Column = TokenColumn | np.ndarray
"""Tokens, or the class numbers of ``label``."""


def token_table(split: TextSplit, roles: tuple[str, ...], tokenizer: Any, folder: Path | None) -> dict[str, Column]:
    """The columns of a split, in its own order.

    Tokens are kept in ``folder`` under a name that depends on the rows and the tokenizer, and mapped into memory from
    there. They are written while the rows are read, so the size of a split does not matter. If the folder cannot be
    written, or what it has cannot be read, texts are tokenized again each time, and their tokens are in memory.
    Concurrent callers are safe: one tokenizes, the others wait.

    Args:
        split: the rows.
        roles: the roles to read; texts are tokenized, ``label`` is a class number already.
        tokenizer: see ``tfdl.data.tokenizers``.
        folder: where to keep tokens; ``None`` keeps nothing.

    Returns:
        Role -> column.

    Raises:
        RunError: the disk is full, or fails.
    """
    if folder is None:
        return _in_memory(split, roles, tokenizer)
    parts = (split.fingerprint, *roles, tokenizer.digest)
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    table = folder / digest[:24]
    if not make_folder(table, partial(_tokenize, split, roles, tokenizer)):
        return _in_memory(split, roles, tokenizer)
    try:
        # A plain array of the same memory: operations on a memmap are slower.
        return _columns(roles, lambda name: np.asarray(np.load(table / f"{name}.npy", mmap_mode="r")))
    except OSError:  # such as a folder of another user, who made it for himself alone
        return _in_memory(split, roles, tokenizer)


def _in_memory(split: TextSplit, roles: tuple[str, ...], tokenizer: Any) -> dict[str, Column]:
    arrays: dict[str, ArrayInMemory] = {}

    def new_array(name: str, dtype: np.dtype) -> ArrayInMemory:
        arrays[name] = ArrayInMemory(dtype)
        return arrays[name]

    _tokenize(split, roles, tokenizer, new_array)
    return _columns(roles, lambda name: arrays[name].values())


def _columns(roles: tuple[str, ...], array: Callable[[str], np.ndarray]) -> dict[str, Column]:
    return {
        role: array(role) if role == _LABEL else TokenColumn(array(role), starts=array(_starts_name(role)))
        for role in roles
    }


def _tokenize(split: TextSplit, roles: tuple[str, ...], tokenizer: Any, new_array: NewArray) -> None:
    """Appends the columns of all rows to new arrays. Only one chunk of the texts and their tokens is in memory."""
    columns = {role: _Labels(new_array) if role == _LABEL else _Texts(role, tokenizer, new_array) for role in roles}
    for rows in _chunks(split, roles):
        for role, column in columns.items():
            column.append([row[role] for row in rows])


class _Labels:
    """The class numbers of a split that is being read."""

    def __init__(self, new_array: NewArray):
        self._numbers = new_array(_LABEL, np.dtype(np.int32))

    def append(self, numbers: list[Any]) -> None:
        self._numbers.append(np.array(numbers, np.int32))


class _Texts:
    """The tokens of a split that is being read."""

    def __init__(self, role: str, tokenizer: Any, new_array: NewArray):
        self._tokenizer = tokenizer
        self._dtype = np.min_scalar_type(tokenizer.vocab_size - 1)
        self._tokens = new_array(role, self._dtype)
        self._starts = new_array(_starts_name(role), np.dtype(np.int64))
        self._starts.append(np.zeros(1, np.int64))
        self._num_tokens = 0

    def append(self, texts: list[Any]) -> None:
        if len(texts) == 1 and self._tokenizer.reads_parts:
            # A long text, such as a whole file, is a chunk by itself.
            lengths = np.array([sum(self._append_together([part]).sum() for part in parts_of(texts[0]))], np.int64)
        else:
            lengths = self._append_together(texts)
        ends = self._num_tokens + np.cumsum(lengths)
        self._starts.append(ends)
        self._num_tokens = int(ends[-1])

    def _append_together(self, texts: list[str]) -> np.ndarray:
        """Appends the tokens of texts; returns how many each has."""
        encoded = self._tokenizer.encode_batch(texts)
        self._tokens.append(np.concatenate(encoded, dtype=self._dtype, casting="unsafe"))
        return np.fromiter(map(len, encoded), np.int64, len(encoded))


def _starts_name(role: str) -> str:
    return f"{role}-starts"


def _chunks(split: Iterable[Row], roles: tuple[str, ...]) -> Iterator[list[Row]]:
    chunk: list[Row] = []
    num_characters = 0
    for row in split:
        size = sum(len(str(row[role])) for role in roles)
        if chunk and (len(chunk) == _MOST_ROWS or num_characters + size > _MOST_CHARACTERS):
            yield chunk
            chunk = []
            num_characters = 0
        chunk.append(row)
        num_characters += size
    if chunk:
        yield chunk
