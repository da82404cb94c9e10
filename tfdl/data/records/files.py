"""One file of records, of whichever format: its columns and its rows."""

import itertools
import os
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol

from tfdl.data.files.bad_rows import BadRow
from tfdl.data.records.array_record import ArrayRecordFile
from tfdl.data.records.endings import ARRAY_RECORD, PARQUET, ending_of
from tfdl.data.records.examples import values_of
from tfdl.data.records.parquet import ParquetFile
from tfdl.data.records.tfrecord import read_tfrecord
from tfdl.data.records.values import Value
from tfdl.errors import UserError

# Examples of a file that are read to find out which features they have.
_NUM_SAMPLED = 100
# Files whose columns are remembered.
_MOST_FILES = 2**16
NamedRow = tuple[int, dict[str, Value]]
"""The row's number in its file, from 1, and column -> value."""


def class_names_beside(path: Path, name: str) -> tuple[str, ...]:
    """The names of classes in the file in which TFDS keeps them, such as ``label.labels.txt``; empty without it.

    Args:
        path: a file of records in the same folder.
        name: of the column with the numbers.

    Raises:
        UserError: the names are not UTF-8.
    """
    names = path.parent / f"{name}.labels.txt"
    if not os.path.isfile(names):  # Path.is_file raises an error for a name that is too long
        return ()
    status = names.stat()
    return _lines(names, (status.st_size, status.st_mtime_ns))


@lru_cache
def _lines(path: Path, version: tuple[int, int]) -> tuple[str, ...]:  # noqa: ARG001
    """``version`` changes with the file, which is then read again."""
    try:
        return tuple(path.read_text(encoding="utf-8").splitlines())
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8, expected the name of a class on each line; save it as UTF-8") from error


class RecordFile(Protocol):
    """A file of rows of named values."""

    path: Path

    def __hash__(self) -> int:
        """Files are told apart by identity."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Its columns."""
        ...

    @property
    def is_complete(self) -> bool:
        """Whether no row has another column."""
        ...

    def class_names_of(self, name: str) -> tuple[str, ...]:
        """The names of the classes whose numbers a column has; empty if they are not known.

        Args:
            name: of the column.

        Raises:
            UserError: a file of names that cannot be read.
        """
        ...

    def rows(self, names: Mapping[str, object] | None = None) -> Iterator[NamedRow | BadRow]:
        """All rows.

        Args:
            names: of the columns that are needed; by default all.

        Raises:
            UserError: the file is damaged.
        """
        ...


def open_records(path: Path) -> RecordFile:
    """Opens a file of records.

    Args:
        path: the file; its ending is one of ``ENDINGS``.

    Raises:
        UserError: not a file of this format.
    """
    status = path.stat()
    return _opened(path, (status.st_size, status.st_mtime_ns))


@lru_cache(_MOST_FILES)
def _opened(path: Path, version: tuple[int, int]) -> RecordFile:  # noqa: ARG001
    """``version`` changes with the file, which is then opened again."""
    return _ParquetRows(path) if ending_of(path) in PARQUET else _Examples(path)


class _ParquetRows:
    """A Parquet file."""

    is_complete = True

    def __init__(self, path: Path):
        self.path = path
        file = ParquetFile(path)
        self.names = file.names
        self._class_names = file.class_names

    def class_names_of(self, name: str) -> tuple[str, ...]:
        """See ``RecordFile.class_names_of``; the file itself has them."""
        return self._class_names.get(name, ())

    def rows(self, names: Mapping[str, object] | None = None) -> Iterator[NamedRow | BadRow]:
        """See ``RecordFile.rows``."""
        yield from enumerate(ParquetFile(self.path).rows(names), 1)


class _Examples:
    """A TFRecord or ArrayRecord file whose records are ``tf.train.Example`` messages."""

    def __init__(self, path: Path):
        self.path = path

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(self._sampled[0])

    @cached_property
    def is_complete(self) -> bool:
        return self._sampled[1] < _NUM_SAMPLED

    def class_names_of(self, name: str) -> tuple[str, ...]:
        """See ``RecordFile.class_names_of``."""
        return class_names_beside(self.path, name)

    def rows(self, names: Mapping[str, object] | None = None) -> Iterator[NamedRow | BadRow]:  # noqa: ARG002
        """See ``RecordFile.rows``. A record that is no Example is a bad row."""
        for number, record in enumerate(self._records(), 1):
            try:
                yield number, values_of(record)
            except ValueError as error:
                yield BadRow(self.path, number, str(error))

    def _records(self) -> Iterator[bytes]:
        if ending_of(self.path) in ARRAY_RECORD:
            return ArrayRecordFile(str(self.path)).read_all()
        return read_tfrecord(self.path)

    @cached_property
    def _sampled(self) -> tuple[dict[str, None], int]:
        """The features of the first rows, and the number of those rows."""
        names: dict[str, None] = {}  # a set in the order of insertion
        count = 0
        for row in itertools.islice(self.rows(), _NUM_SAMPLED):
            count += 1
            if not isinstance(row, BadRow):
                names.update(dict.fromkeys(row[1]))
        return names, count
