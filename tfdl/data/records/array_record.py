"""ArrayRecord files: records by number, since each file has its own index."""

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from tfdl.errors import RunError, UserError

# Without threads of its own: batches are read at random, several at a time.
_READ_OPTIONS = "readahead_buffer_size:0,max_parallelism:0"
# Files that are held open; a data set may have more of them than a process may open.
_MOST_OPEN = 128
# Bytes that are read together from one end of a file to the other.
_CHUNK_BYTES = 2**22


class ArrayRecordFile:
    """One ArrayRecord file.

    Args:
        path: the file.

    Raises:
        UserError: not an ArrayRecord file.
    """

    def __init__(self, path: str):
        self.path = path
        self._version = _version(path)
        reader = _reader(path, self._version)
        self._num_records = int(reader.num_records())
        options = dict(option.split(":", 1) for option in reader.writer_options_string().split(",") if ":" in option)
        self.group_size = int(options.get("group_size", 1))
        """Records that are packed together: to read one, all of its group are unpacked."""

    def __len__(self) -> int:
        return self._num_records

    def read(self, numbers: Sequence[int]) -> list[bytes]:
        """The records of these numbers, in this order."""
        return list(_reader(self.path, self._version).read(list(numbers)))

    def read_all(self) -> Iterator[bytes]:
        """All records in order, a few at a time."""
        if not self._num_records:
            return
        mean_bytes = Path(self.path).stat().st_size / self._num_records
        chunk = max(self.group_size, int(_CHUNK_BYTES / mean_bytes), 1)
        for begin in range(0, self._num_records, chunk):
            yield from self.read(range(begin, min(begin + chunk, self._num_records)))


def _version(path: str) -> tuple[int, int, int]:
    """Changes when the file changes."""
    status = os.stat(path)
    return status.st_ino, status.st_size, status.st_mtime_ns


@lru_cache(_MOST_OPEN)
def _reader(path: str, version: tuple[int, int, int]) -> Any:
    from array_record.python.array_record_module import ArrayRecordReader

    if not os.path.exists(path) or _version(path) != version:
        raise RunError(f"{path} has changed while it was read, expected files that stay as they are; start again")
    try:
        reader = ArrayRecordReader(path, options=_READ_OPTIONS)
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{path} cannot be read as ArrayRecord ({error}); make it again") from error
    if not reader.ok():
        raise UserError(f"{path} is not an ArrayRecord file, or is damaged; expected one: make it again")
    return reader
