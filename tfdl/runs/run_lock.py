"""The lock of a run directory: only one job at a time writes to it."""

import json
import os
import socket
import time
from pathlib import Path

from filelock import FileLock, Timeout

from tfdl.errors import UserError
from tfdl.runs.atomic import write_json

_LOCK = ".lock"
# Who has the lock, for messages. It is wrong for a moment while the lock changes hands.
_HOLDER = ".holder.json"
LOCK_FILES = (_LOCK, _HOLDER)
"""What a killed process may leave in a directory that is otherwise empty."""


class RunLock:
    """A lock that the operating system releases when its process ends, however that happens.

    It works between processes of one host, and between hosts where the file system knows locks, as NFS does.

    Args:
        folder: the run directory.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._lock: FileLock | None = None

    def acquire(self) -> str:
        """Takes the lock, unless this object has it already.

        Returns:
            A line about a file system without locks; empty otherwise.

        Raises:
            UserError: another job has it.
        """
        if self._lock is not None:
            return ""
        lock = FileLock(self._folder / _LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UserError(
                f"the run {str(self._folder)!r} is being trained by {self._holder()}; wait for its end, or choose"
                " another --output"
            ) from None
        except (OSError, NotImplementedError) as error:
            return f"the run directory has no locks ({error}): nothing keeps a second job from writing to it"
        self._lock = lock
        holder = {"host": socket.gethostname(), "process": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        write_json(self._folder / _HOLDER, holder)
        return ""

    def release(self) -> None:
        """Gives the lock back, if this object has it."""
        if self._lock is None:
            return
        for name in (_HOLDER, _LOCK):  # while the lock is still held
            (self._folder / name).unlink(missing_ok=True)
        self._lock.release()
        self._lock = None

    def _holder(self) -> str:
        try:
            holder = json.loads((self._folder / _HOLDER).read_text(encoding="utf-8"))
            return f"process {holder['process']} on host {holder['host']}, since {holder['since']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "another job"
