"""Finds callbacks of several ranks that write the same file."""

import os
import socket
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from tfdl.errors import UserError

# The attribute with the path, by Keras's class.
_PATHS = {
    keras.callbacks.BackupAndRestore: "backup_dir",
    keras.callbacks.ModelCheckpoint: "filepath",
    keras.callbacks.CSVLogger: "filename",
}


@dataclass(frozen=True)
class WrittenFile:
    """A file or folder that a callback writes on one host."""

    callback: str
    host: str
    path: str


def written_files(callbacks: Sequence[Any]) -> tuple[WrittenFile, ...]:
    """Returns what this rank's callbacks write."""
    found = []
    for callback in callbacks:
        for kind, attribute in _PATHS.items():
            if isinstance(callback, kind):
                path = os.path.realpath(str(getattr(callback, attribute)))
                found.append(WrittenFile(kind.__name__, socket.gethostname(), path))
    return tuple(found)


def check_written_files(everyone: Sequence[Sequence[WrittenFile]]) -> None:
    """Compares what the ranks write. Two ranks of one host that write one file destroy it for each other.

    A ``BackupAndRestore`` is an error, because it also deletes its folder, and every rank must read its own back. For
    the others, which may have worked by luck, a warning is printed.

    Args:
        everyone: what ``written_files`` has found on each rank.

    Raises:
        UserError: two ranks have a ``BackupAndRestore`` with one folder.
    """
    first_rank: dict[WrittenFile, int] = {}
    for rank, files in enumerate(everyone):
        for file in files:
            other = first_rank.setdefault(file, rank)
            if other == rank:
                continue
            if file.callback == "BackupAndRestore":
                raise UserError(
                    f"ranks {other} and {rank} have a BackupAndRestore with the same folder {file.path}, so each"
                    " overwrites and deletes the other's files; give every rank its own folder:"
                    " BackupAndRestore(f'backup-{world.rank}')"
                )
            warnings.warn(
                f"ranks {other} and {rank} have a {file.callback} that writes {file.path} at the same time; give it to"
                f" rank 0 only: [keras.callbacks.{file.callback}(...)] if world.is_chief else []",
                stacklevel=2,
            )
