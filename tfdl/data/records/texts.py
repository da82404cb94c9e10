"""Files of records as rows of texts, like those of a table."""

import itertools
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from tfdl.data.files.bad_rows import BadRow
from tfdl.data.files.encodings import decode
from tfdl.data.files.rows import ColumnNames, GoodRow, ReadOptions
from tfdl.data.records.files import RecordFile, open_records
from tfdl.data.records.values import as_text

# Rows that are looked at to find out which columns have texts.
_NUM_SAMPLED = 20
_MOST_FILES = 2**16


def read_record_texts(path: Path, options: ReadOptions) -> Iterator[GoodRow | BadRow]:
    """The rows of a file of records. Columns of bytes that are no texts, such as images, are left out.

    Args:
        path: the file.
        options: the encoding of texts that are stored as bytes.

    Raises:
        UserError: the file is damaged.
    """
    file = open_records(path)
    names = record_columns(path, options).names
    # Other features of a TFRecord file may come later; they are read as texts.
    left_out = set(file.names) - set(names)
    class_names: dict[str, tuple[str, ...]] = {}
    for row in file.rows(dict.fromkeys(names)):
        if isinstance(row, BadRow):
            yield row
            continue
        number, values = row
        columns: dict[str, str] = {}
        for name, value in values.items():
            if name in left_out:
                continue
            if name not in class_names:
                class_names[name] = file.class_names_of(name)
            text = as_text(value, class_names[name])
            if text is not None:
                columns[name] = decode(text, options.encoding) if isinstance(text, bytes) else text
        yield number, columns


def record_columns(path: Path, options: ReadOptions) -> ColumnNames:
    """The columns that have texts, numbers or classes.

    Args:
        path: the file.
        options: the encoding of texts that are stored as bytes.
    """
    file = open_records(path)
    binary = _binary_columns(file, options)
    return ColumnNames(tuple(name for name in file.names if name not in binary), is_complete=file.is_complete)


@lru_cache(_MOST_FILES)
def _binary_columns(file: RecordFile, options: ReadOptions) -> frozenset[str]:
    """Columns whose first values are bytes, none of which is a text."""
    texts: set[str] = set()
    binary: set[str] = set()
    for row in itertools.islice(file.rows(), _NUM_SAMPLED):
        if isinstance(row, BadRow):
            continue
        for name, value in row[1].items():
            if isinstance(value, bytes) and not _is_text(value, options):
                binary.add(name)
            else:
                texts.add(name)
    return frozenset(binary - texts)


def _is_text(value: bytes, options: ReadOptions) -> bool:
    try:
        text = value.decode(options.encoding)
    except UnicodeDecodeError:
        return False
    return "\0" not in text
