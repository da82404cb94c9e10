"""One-dimensional arrays that are appended to: in a file, or in memory."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from numpy.lib import format as npy


class GrowingArray(Protocol):
    """An array that is appended to."""

    def append(self, values: np.ndarray) -> None:
        """Adds values ``(n,)`` at the end, in the array's dtype."""
        ...


class WriteError(OSError):
    """An array cannot be written to its file, as opposed to an error of what is appended."""


class ArrayFile:
    """An array in a new ``.npy`` file, with the bytes that ``np.save`` would write.

    Args:
        path: the file, which must not exist.
        dtype: of the values.

    Raises:
        WriteError: the file cannot be written; ``append`` and ``complete`` raise it as well.
    """

    def __init__(self, path: Path, dtype: np.dtype):
        self._dtype = dtype
        self._length = 0
        with _write_errors():
            self._file = path.open("xb")
            _write_header(self._file, dtype, 0)
        self._header_size = self._file.tell()

    def append(self, values: np.ndarray) -> None:
        """See ``GrowingArray.append``."""
        with _write_errors():
            self._file.write(_bytes(values, self._dtype))
        self._length += len(values)

    def complete(self) -> None:
        """Writes the length into the header, and flushes the file to disk."""
        with _write_errors():
            self._file.seek(0)
            _write_header(self._file, self._dtype, self._length)
            self._file.flush()
            os.fsync(self._file.fileno())
        assert self._file.tell() == self._header_size, "a header has space for the digits of any length"

    def close(self) -> None:
        """Closes the file, also after a ``WriteError``. Values that are not on disk yet may be lost."""
        try:
            self._file.close()
        except OSError:
            assert self._file.closed


class ArrayInMemory:
    """An array in memory, which is not copied when it is complete.

    Args:
        dtype: of the values.
    """

    def __init__(self, dtype: np.dtype):
        self._dtype = dtype
        self._bytes = bytearray()

    def append(self, values: np.ndarray) -> None:
        """See ``GrowingArray.append``."""
        self._bytes += _bytes(values, self._dtype)

    def values(self) -> np.ndarray:
        """The array. Nothing can be appended afterwards."""
        return np.frombuffer(self._bytes, self._dtype)


@contextmanager
def _write_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WriteError(error.errno, error.strerror) from error


def _write_header(file: BinaryIO, dtype: np.dtype, length: int) -> None:
    header = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": (length,)}
    npy.write_array_header_1_0(file, header)


def _bytes(values: np.ndarray, dtype: np.dtype) -> memoryview:
    return np.ascontiguousarray(values, dtype).data
