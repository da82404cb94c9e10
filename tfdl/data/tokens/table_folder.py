"""A folder of arrays on disk that is either complete or absent."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from filelock import FileLock

from tfdl.data.tokens.growing_arrays import ArrayFile, GrowingArray, WriteError
from tfdl.errors import DISK_FULL, RunError

NewArray = Callable[[str, np.dtype], GrowingArray]
"""Begins an array with a name and a dtype."""


def make_folder(folder: Path, fill: Callable[[NewArray], None]) -> bool:
    """Fills a folder with arrays, unless it exists.

    Concurrent callers are safe: one fills the folder, the others wait.

    Args:
        folder: the folder; its parents are made.
        fill: makes the arrays and appends their values.

    Returns:
        Whether the folder exists now. It does not where nothing can be written.

    Raises:
        RunError: the disk is full, or fails; the error names the parent of ``folder``.
    """
    if folder.is_dir():
        return True
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_suffix(".lock"))
        lock.acquire()
    except OSError as error:
        return _cannot_begin(folder.parent, error)
    try:
        if folder.is_dir():
            return True  # another process has filled it before the lock was free
        for leftover in folder.parent.glob(f"{folder.name}-*"):  # of a process that was killed while it wrote
            shutil.rmtree(leftover, ignore_errors=True)
        try:
            aside = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
            os.chmod(aside, 0o755)  # mkdtemp makes folders that only their owner can read
        except OSError as error:
            return _cannot_begin(folder.parent, error)
        _fill(aside, folder, fill)
    finally:
        lock.release()
    return True


def _fill(aside: Path, folder: Path, fill: Callable[[NewArray], None]) -> None:
    """Fills another folder and renames it."""
    arrays: list[ArrayFile] = []

    def new_array(name: str, dtype: np.dtype) -> GrowingArray:
        arrays.append(ArrayFile(aside / f"{name}.npy", dtype))
        return arrays[-1]

    try:
        try:
            fill(new_array)
            for array in arrays:
                array.complete()
        finally:
            for array in arrays:
                array.close()
        os.rename(aside, folder)
    except BaseException as error:
        shutil.rmtree(aside, ignore_errors=True)
        if isinstance(error, WriteError):
            raise _failed(folder.parent, error) from error
        raise


def _cannot_begin(parent: Path, error: OSError) -> bool:
    """False, or an error if there is a place to write that is full."""
    if error.errno in DISK_FULL:
        raise _failed(parent, error) from error
    return False


def _failed(parent: Path, error: OSError) -> RunError:
    make_room = "make room there, or " if error.errno in DISK_FULL else ""
    return RunError(
        f"cannot keep tokens in {str(parent)!r}: {error.strerror}; {make_room}choose another folder with --data-dir"
    )
