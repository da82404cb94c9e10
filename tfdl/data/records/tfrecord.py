"""TFRecord files: one record after the other, without an index."""

import gzip
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tfdl.errors import UserError

# Before a record: its length in 8 bytes, and the length's checksum in 4. After it: its own checksum in 4.
_HEADER = struct.Struct("<QI")
_CHECKSUM_BYTES = 4
MOST_RECORD_BYTES = 2**28
"""The longest record that is read. Packed with gzip, a record may have a thousandth of its length."""
_PIECE_BYTES = 2**22
_GZIP = b"\x1f\x8b"
# CRC-32C, bit-reversed; and the constant that TFRecord adds to a rotated checksum.
_POLYNOMIAL = 0x82F63B78
_MASK_DELTA = 0xA282EAD8


def read_tfrecord(path: Path) -> Iterator[bytes]:
    """The records of a file, in its order. A file that is packed with gzip is read too.

    The checksum of each record's length is compared, so no other file is taken for a TFRecord file. The checksum of its
    content is not.

    Args:
        path: the file.

    Raises:
        UserError: not a TFRecord file, or one that is cut off.
    """
    try:
        yield from _records(path)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path} is damaged ({error}), expected a whole gzip file; copy or make it again") from error


def _records(path: Path) -> Iterator[bytes]:
    with _open(path) as file:
        position = 0
        number = 0
        while header := file.read(_HEADER.size):
            number += 1
            if len(header) < _HEADER.size:
                raise _cut_off(path, number)
            length, checksum = _HEADER.unpack(header)
            if _masked_crc(header[:8]) != checksum:
                expected = "expected a TFRecord file" if number == 1 else "the file is damaged: make it again"
                raise UserError(f"{path} has no record at byte {position:,} (its checksum differs); {expected}")
            if length > MOST_RECORD_BYTES:
                raise UserError(
                    f"{path} has a record of {length:,} bytes, expected at most {MOST_RECORD_BYTES:,}; make it again"
                )
            record = _read(file, length)
            rest = file.read(_CHECKSUM_BYTES)
            if len(record) < length or len(rest) < _CHECKSUM_BYTES:
                raise _cut_off(path, number)
            yield record
            position += _HEADER.size + length + _CHECKSUM_BYTES


def _read(file: BinaryIO, length: int) -> bytes:
    """So many bytes, or fewer at the end of the file. Python would take memory for all of them before it reads."""
    pieces = []
    while length and (piece := file.read(min(length, _PIECE_BYTES))):
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)


def _open(path: Path) -> BinaryIO:
    file = path.open("rb")
    if file.peek(len(_GZIP))[: len(_GZIP)] != _GZIP:
        return file
    file.close()
    return gzip.open(path)  # type: ignore[return-value]  # a GzipFile has what is used here


def _cut_off(path: Path, number: int) -> UserError:
    return UserError(f"{path} ends within record {number:,}, expected a whole file; copy or make it again")


def _masked_crc(data: bytes) -> int:
    """TFRecord's checksum of a few bytes: CRC-32C, rotated, plus a constant."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (_POLYNOMIAL if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    rotated = ((crc >> 15) | (crc << 17)) & 0xFFFFFFFF
    return (rotated + _MASK_DELTA) & 0xFFFFFFFF
