"""The file lock under which data is prepared, once on each machine."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tfdl.errors import UserError


@contextlib.contextmanager
def preparation_lock(root: Path, what: str, name: str) -> Iterator[None]:
    """Only one process prepares this in ``root`` at a time; others wait.

    Args:
        root: the folder of prepared data sets.
        what: is prepared, as part of a file's name.
        name: the data set as the user wrote it, for messages.

    Raises:
        UserError: the folder cannot be written.
    """
    from filelock import FileLock

    lock = FileLock(root / f".{what}.lock")
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise UserError(
            f"cannot prepare data set {name!r} in {root} ({error.strerror}); give a folder that can be written:"
            " --data-dir DIR"
        ) from error
    try:
        yield
    finally:
        lock.release()
