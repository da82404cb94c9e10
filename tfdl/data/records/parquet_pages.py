"""The size of a Parquet column's dictionary, of which each of its rows may repeat a value.

A few bytes of a column can stand for very many copies of one long value. So the rows that are decoded together are
bounded by the longest value that there may be. A page begins with a header in Thrift's compact protocol:
https://github.com/apache/parquet-format.
"""

from typing import Any, BinaryIO

# A field that follows the one before it, with a whole number: the kind of the page, its size, its size when packed.
_NEXT_FIELD_IS_NUMBER = 0x15
_MOST_HEADER_BYTES = 64
_MOST_DIGITS = 10


def dictionary_bytes(file: BinaryIO, column: Any) -> int:
    """The size of a dictionary when it is not packed; 0 without one.

    Args:
        file: the Parquet file.
        column: pyarrow's metadata of a column of a group of rows.

    Raises:
        ValueError: no page begins where the dictionary should be.
    """
    if not column.has_dictionary_page or column.dictionary_page_offset is None:
        return 0
    file.seek(column.dictionary_page_offset)
    header = file.read(_MOST_HEADER_BYTES)
    _, place = _number_field(header, 0)
    size, _ = _number_field(header, place)
    return size


def _number_field(header: bytes, place: int) -> tuple[int, int]:
    """The number of a field, and the place of the next one."""
    if header[place : place + 1] != bytes([_NEXT_FIELD_IS_NUMBER]):
        raise ValueError("no header of a page")
    value = 0
    for count, byte in enumerate(header[place + 1 : place + 1 + _MOST_DIGITS]):
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), place + 2 + count
    raise ValueError("no header of a page")
