"""Random access to the records of a prepared TFDS split, undecoded: any sample can be read without those before it."""

import os
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfdl.errors import RunError, UserError, nearest

# TFRecord framing: length (8 bytes), its checksum (4), the record, its checksum (4).
_HEADER, _FOOTER = 12, 4


class TFRecordFile:
    """One TFRecord file; opening it walks the record headers once to learn where each record starts."""

    def __init__(self, path: str):
        self.path = path
        with open(path, "rb", buffering=0) as file:
            self._offsets, self._lengths = self._walk(file.fileno())

    def __len__(self) -> int:
        return len(self._offsets)

    def read(self, places: Sequence[int]) -> list[bytes]:
        """The records at these places, in this order."""
        # Opened for each batch: a large set has more files than a process may hold open.
        with open(self.path, "rb", buffering=0) as file:
            descriptor = file.fileno()
            return [os.pread(descriptor, int(self._lengths[place]), int(self._offsets[place])) for place in places]

    def _walk(self, descriptor: int) -> tuple[np.ndarray, np.ndarray]:
        size = os.fstat(descriptor).st_size
        offsets, lengths, at = [], [], 0
        while at < size:
            header = os.pread(descriptor, _HEADER, at)
            if len(header) < _HEADER:
                raise RunError(f"{self.path} is cut off at byte {at} of {size}; prepare the data set again")
            (length,) = struct.unpack_from("<Q", header)
            offsets.append(at + _HEADER)
            lengths.append(length)
            at += _HEADER + length + _FOOTER
        if at != size:
            raise RunError(f"{self.path} is cut off at byte {size} of {at}; prepare the data set again")
        return np.array(offsets, np.int64), np.array(lengths, np.int64)


class ArrayRecordFile:
    """One ArrayRecord file, which carries an index of its own."""

    def __init__(self, path: str):
        from array_record.python.array_record_module import ArrayRecordReader

        self._reader = ArrayRecordReader(path)

    def __len__(self) -> int:
        return int(self._reader.num_records())

    def read(self, places: Sequence[int]) -> list[bytes]:
        """The records at these places, in this order."""
        return list(self._reader.read(list(places)))


_FILES: dict[str, Any] = {"tfrecord": TFRecordFile, "array_record": ArrayRecordFile}


class RecordTable:
    """The records of one split, or of a part such as ``train[:90%]``, numbered from 0 over all its files."""

    def __init__(self, builder: Any, split: str):
        file_format = builder.info.file_format.value
        if file_format not in _FILES:
            raise UserError(
                f"data set {builder.name!r} is prepared as {file_format}, expected {' or '.join(_FILES)};"
                " prepare it again in one of these formats"
            )
        self._files, parts = [], []
        for number, part in enumerate(builder.info.splits[split].file_instructions):
            file = _FILES[file_format](str(part.filename))
            take = len(file) - part.skip if part.take < 0 else part.take
            self._files.append(file)
            parts.append(np.stack([np.full(take, number), np.arange(part.skip, part.skip + take)], axis=1))
        self._places = np.concatenate(parts) if parts else np.zeros((0, 2), np.int64)  # (n, 2): file, record in it

    def __len__(self) -> int:
        return len(self._places)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Serialized examples, an object array in the order of ``indices``; a file is read once for all of its own."""
        found = np.empty(len(indices), object)
        places = self._places[indices]
        for number in np.unique(places[:, 0]):
            mine = np.flatnonzero(places[:, 0] == number)
            found[mine] = self._files[number].read(places[mine, 1].tolist())
        return found


def open_records(builder: Any, split: str) -> RecordTable:
    """The records of a split by name; a name that is unknown is answered with those that are known."""
    try:
        return RecordTable(builder, split)
    except (KeyError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        known = list(builder.info.splits)
        raise UserError(
            f"unknown split {split!r} of {builder.name!r}, expected one of {', '.join(known)} or a part such as"
            f" {known[0]}[:80%].{nearest(split.split('[')[0], known)}"
        ) from error
