"""Random access to the serialized records of a prepared TFDS split."""

import os
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfdl.data.records.array_record import ArrayRecordFile
from tfdl.data.records.table import RecordTable
from tfdl.errors import RunError, UserError, nearest

# Bytes around a record in a TFRecord file: before it its length (8) and the length's checksum (4), after it its own
# checksum (4).
_HEADER = 12
_FOOTER = 4


class TFRecordFile:
    """One TFRecord file. Opening it reads all record headers once, to find where each record starts."""

    def __init__(self, path: str):
        self.path = path
        with open(path, "rb", buffering=0) as file:
            self._offsets, self._lengths = self._find_records(file.fileno())

    def __len__(self) -> int:
        return len(self._offsets)

    def read(self, numbers: Sequence[int]) -> list[bytes]:
        """The records of these numbers, in this order."""
        # The file is opened for each batch: a large data set has more files than a process may hold open.
        with open(self.path, "rb", buffering=0) as file:
            descriptor = file.fileno()
            return [os.pread(descriptor, int(self._lengths[number]), int(self._offsets[number])) for number in numbers]

    def _find_records(self, descriptor: int) -> tuple[np.ndarray, np.ndarray]:
        """Offset and length of each record in bytes, int64 ``(n,)``."""
        size = os.fstat(descriptor).st_size
        offsets = []
        lengths = []
        position = 0
        while position < size:
            header = os.pread(descriptor, _HEADER, position)
            if len(header) < _HEADER:
                raise RunError(f"{self.path} is cut off at byte {position} of {size}; prepare the data set again")
            (length,) = struct.unpack_from("<Q", header)
            offsets.append(position + _HEADER)
            lengths.append(length)
            position += _HEADER + length + _FOOTER
        if position != size:
            raise RunError(f"{self.path} is cut off at byte {size} of {position}; prepare the data set again")
        return np.array(offsets, np.int64), np.array(lengths, np.int64)


# File format -> the class that reads it.
_FILES: dict[str, Any] = {"tfrecord": TFRecordFile, "array_record": ArrayRecordFile}


def _table(builder: Any, split: str) -> RecordTable:
    file_format = builder.info.file_format.value
    if file_format not in _FILES:
        raise UserError(
            f"data set {builder.name!r} is prepared as {file_format}, expected {' or '.join(_FILES)};"
            " prepare it again in one of these formats"
        )
    files = []
    file_numbers = [np.zeros(0, np.int64)]
    record_numbers = [np.zeros(0, np.int64)]
    for file_number, part in enumerate(builder.info.splits[split].file_instructions):
        file = _FILES[file_format](str(part.filename))
        end = len(file) if part.take < 0 else part.skip + part.take
        files.append(file)
        file_numbers.append(np.full(end - part.skip, file_number))
        record_numbers.append(np.arange(part.skip, end))
    return RecordTable(files, np.concatenate(file_numbers), np.concatenate(record_numbers))


def open_records(builder: Any, split: str) -> RecordTable:
    """The records of a split.

    Args:
        builder: of a prepared data set.
        split: a split or a part of one, such as ``train[:90%]``.

    Raises:
        UserError: no such split, or a file format that cannot be read at random.
    """
    try:
        return _table(builder, split)
    except (KeyError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        known = list(builder.info.splits)
        raise UserError(
            f"unknown split {split!r} of {builder.name!r}, expected one of {', '.join(known)} or a part such as"
            f" {known[0]}[:80%].{nearest(split.split('[')[0], known)}"
        ) from error
