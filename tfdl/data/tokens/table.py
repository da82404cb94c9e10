"""Texts as token numbers: made once, kept on disk, and shared by all ranks of a machine."""

import hashlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from tfdl.data.texts import TextSplit

# Rows that are tokenized together.
_CHUNK = 4096


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
    there. If the folder cannot be written, texts are tokenized again each time. Concurrent callers are safe: one
    tokenizes, the others wait.

    Args:
        split: the rows.
        roles: the roles to read; texts are tokenized, ``label`` is a class number already.
        tokenizer: see ``tfdl.data.tokenizers``.
        folder: where to keep tokens; ``None`` keeps nothing.

    Returns:
        Role -> column.
    """
    if folder is None:
        return _tokenized(split, roles, tokenizer)
    parts = (split.fingerprint, *roles, tokenizer.digest)
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    table = folder / digest[:24]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(table.with_suffix(".lock")):
            if not table.is_dir():
                _save(_tokenized(split, roles, tokenizer), table)
        return _load(roles, table)
    except OSError:
        return _tokenized(split, roles, tokenizer)


def _tokenized(split: TextSplit, roles: tuple[str, ...], tokenizer: Any) -> dict[str, Column]:
    dtype = np.min_scalar_type(tokenizer.vocab_size - 1)
    pieces: dict[str, list[np.ndarray]] = {role: [] for role in roles}
    lengths: dict[str, list[np.ndarray]] = {role: [] for role in roles}
    for rows in _chunks(split):
        for role in roles:
            values = [row[role] for row in rows]
            if role == "label":
                pieces[role].append(np.array(values, np.int32))
                continue
            encoded = tokenizer.encode_batch(values)
            pieces[role].append(np.concatenate([np.zeros(0, dtype), *encoded]).astype(dtype))
            lengths[role].append(np.array([len(tokens) for tokens in encoded], np.int64))
    columns: dict[str, Column] = {}
    for role in roles:
        joined = np.concatenate(pieces[role])
        if role == "label":
            columns[role] = joined
        else:
            ends = np.cumsum(np.concatenate(lengths[role]))
            columns[role] = TokenColumn(joined, starts=np.concatenate([np.zeros(1, np.int64), ends]))
    return columns


def _chunks(split: Iterable[Any]) -> Iterator[list[Any]]:
    rows = iter(split)
    while chunk := list(itertools.islice(rows, _CHUNK)):
        yield chunk


def _save(columns: Mapping[str, Column], table: Path) -> None:
    """Writes the columns to another folder and renames it, so that a table is complete or absent."""
    aside = Path(tempfile.mkdtemp(prefix=f"{table.name}-", dir=table.parent))
    try:
        for role, column in columns.items():
            if isinstance(column, TokenColumn):
                np.save(aside / f"{role}.npy", column.tokens)
                np.save(aside / f"{role}-starts.npy", column.starts)
            else:
                np.save(aside / f"{role}.npy", column)
        os.rename(aside, table)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _load(roles: tuple[str, ...], table: Path) -> dict[str, Column]:
    columns: dict[str, Column] = {}
    for role in roles:
        values = np.load(table / f"{role}.npy", mmap_mode="r")
        if role == "label":
            columns[role] = values
        else:
            columns[role] = TokenColumn(values, starts=np.load(table / f"{role}-starts.npy"))
    return columns
