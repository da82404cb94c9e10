"""Records by number, over all files of a split."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np


class NumberedFile(Protocol):
    """A file whose records are read by number."""

    def __len__(self) -> int:
        """Number of records."""
        ...

    def read(self, numbers: Sequence[int]) -> list[bytes]:
        """The records of these numbers, in this order."""
        ...


class RecordTable:
    """Records of several files, numbered from 0.

    Args:
        files: the files.
        file_numbers: the place in ``files`` of each record's file, ``(n,)``.
        record_numbers: the number of each record within its file, ``(n,)``.
    """

    def __init__(self, files: Sequence[NumberedFile], file_numbers: np.ndarray, record_numbers: np.ndarray):
        self._files = files
        self._file_numbers = file_numbers
        self._record_numbers = record_numbers

    def __len__(self) -> int:
        return len(self._file_numbers)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Records, an object array in the order of ``indices``; each file is read once."""
        records = np.empty(len(indices), object)
        file_numbers = self._file_numbers[indices]
        record_numbers = self._record_numbers[indices]
        for file_number in np.unique(file_numbers):
            in_file = np.flatnonzero(file_numbers == file_number)
            records[in_file] = self._files[file_number].read(record_numbers[in_file].tolist())
        return records
