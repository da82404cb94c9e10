"""The lock of a run directory: only one job at a time writes to it."""

import errno
import fcntl
import json
import os
import socket
import time
from contextlib import suppress
from pathlib import Path

from tfdl.errors import UserError
from tfdl.runs.atomic import write_json

_LOCK = ".lock"
# Who has the lock, for messages. It is wrong for a moment while the lock changes hands.
_HOLDER = ".holder.json"
LOCK_FILES = (_LOCK, _HOLDER)
"""What a killed process may leave in a directory that is otherwise empty."""
_HELD = (errno.EWOULDBLOCK, errno.EACCES)


class RunLock:
    """A lock that the operating system releases when its process ends, however that happens.

    It works between processes of one host, and between hosts where the file system knows locks, as NFS does.

    Args:
        folder: the run directory.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._file: int | None = None

    def acquire(self) -> str:
        """Takes the lock, unless this object has it already.

        Returns:
            A line about a file system without locks; empty otherwise.

        Raises:
            UserError: another job has it.
        """
        if self._file is not None:
            return ""
        try:
            self._file = self._locked_file()
        except OSError as error:
            if error.errno in _HELD:
                raise UserError(
                    f"the run {str(self._folder)!r} is being trained by {self._holder()}; wait for its end, or choose"
                    " another --output"
                ) from None
            return f"the run directory has no locks ({error}): nothing keeps a second job from writing to it"
        holder = {"host": socket.gethostname(), "process": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        write_json(self._folder / _HOLDER, holder)
        return ""

    def release(self) -> None:
        """Gives the lock back, if this object has it. A file system that has gone is no error here."""
        if self._file is None:
            return
        for name in (_HOLDER, _LOCK):  # while the lock is still held
            with suppress(OSError):
                (self._folder / name).unlink(missing_ok=True)
        with suppress(OSError):
            os.close(self._file)
        self._file = None

    def _locked_file(self) -> int:
        """The descriptor of the locked file.

        Raises:
            OSError: another process has it, or the file system has no locks.
        """
        while True:
            file = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                is_removed = os.fstat(file).st_nlink == 0  # by the process that had it until now
            except BaseException:
                os.close(file)
                raise
            if not is_removed:
                return file
            os.close(file)

    def _holder(self) -> str:
        try:
            holder = json.loads((self._folder / _HOLDER).read_text(encoding="utf-8"))
            return f"process {holder['process']} on host {holder['host']}, since {holder['since']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "another job"
