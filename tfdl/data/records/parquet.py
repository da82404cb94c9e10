"""Parquet files: rows of named values, a few at a time however large the groups of rows are."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tfdl.data.records.parquet_pages import dictionary_bytes
from tfdl.data.records.parquet_values import BYTES, PATH, ParquetColumn, first_name, rows_of
from tfdl.data.records.values import Value
from tfdl.errors import UserError

# Bytes of a file that are read ahead in each column; by default a whole group of rows is.
_BUFFER_BYTES = 2**20
# Bytes of rows that are decoded together.
_CHUNK_BYTES = 2**22
_MOST_ROWS = 4096
# Bytes of rows that are decoded together if each had the longest value of the dictionary. Dictionaries have about 1 MB.
_REPEATED_BYTES = 2**27
_MOST_DICTIONARY_BYTES = 2**28


class ParquetFile:
    """One Parquet file. Columns within structs have dotted names; lists, maps and missing values are left out.

    Args:
        path: the file.

    Raises:
        UserError: not a Parquet file.
    """

    def __init__(self, path: Path):
        import pyarrow
        from pyarrow import parquet

        self.path = path
        try:
            self._file = parquet.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER_BYTES)
            self._schema = self._file.schema_arrow
            self._check_names()
        except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            reason = str(error).splitlines()[0].rstrip(".")
            raise UserError(f"{path} cannot be read as Parquet ({reason}); make it again") from error

    def _check_names(self) -> None:
        """Refuses a name that several columns have, since neither could be chosen."""
        repeated = [name for name, count in Counter(self._schema.names).items() if count > 1]
        if repeated:
            raise UserError(
                f"{self.path} has several columns that are called {repeated[0]!r}, expected one; rename the others"
            )

    def __len__(self) -> int:
        return int(self._file.metadata.num_rows)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The columns that are read."""
        return tuple(self._columns)

    @cached_property
    def class_names(self) -> dict[str, tuple[str, ...]]:
        """Column of class numbers -> the names of the classes, if Hugging Face's ``datasets`` wrote the file."""
        metadata = self._schema.metadata or {}
        try:
            features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
            return {
                name: tuple(map(str, feature["names"]))
                for name, feature in features.items()
                if isinstance(feature, dict) and isinstance(feature.get("names"), list)
            }
        except (ValueError, KeyError, TypeError, AttributeError):
            return {}

    def num_bytes(self, names: Mapping[str, object]) -> int:
        """Bytes of columns when they are not packed.

        Args:
            names: of the columns.
        """
        paths = {self._columns[name] for name in names if name in self._columns}
        metadata = self._file.metadata
        total = 0
        for group_number in range(metadata.num_row_groups):
            group = metadata.row_group(group_number)
            for number in range(group.num_columns):
                column = group.column(number)
                if not paths.isdisjoint(_outer_paths(column.path_in_schema)):
                    total += column.total_uncompressed_size
        return total

    def rows(self, names: Mapping[str, object] | None = None) -> Iterator[dict[str, Value]]:
        """The rows in order, column -> value.

        Args:
            names: of the columns to read; by default all.

        Raises:
            UserError: the file is damaged.
        """
        import pyarrow

        wanted = [column for column in self._read_columns if names is None or column.name in names]
        num_bytes = self.num_bytes(dict.fromkeys(column.name for column in wanted))
        chunk = min(max(int(_CHUNK_BYTES * len(self) / max(num_bytes, 1)), 1), _MOST_ROWS)
        try:
            # Each row may have the longest value of a dictionary.
            longest = max(self._largest_dictionary(wanted), 1)
            chunk = min(chunk, max(_REPEATED_BYTES // longest, 1))
            for batch in self._file.iter_batches(chunk, columns=[column.path for column in wanted], use_threads=False):
                yield from rows_of(batch, wanted)
        except (pyarrow.ArrowException, OSError, ValueError, MemoryError) as error:
            if isinstance(error, UserError):
                raise
            reason = str(error).splitlines()[0].rstrip(".")
            raise UserError(
                f"{self.path} is damaged ({reason}), expected a whole Parquet file; make it again"
            ) from error

    def _largest_dictionary(self, wanted: Sequence[ParquetColumn]) -> int:
        """Bytes of the largest dictionary of these columns."""
        paths = {column.path for column in wanted}
        metadata = self._file.metadata
        largest = 0
        with self.path.open("rb") as file:
            for group_number in range(metadata.num_row_groups):
                group = metadata.row_group(group_number)
                for number in range(group.num_columns):
                    column = group.column(number)
                    if not paths.isdisjoint(_outer_paths(column.path_in_schema)):
                        largest = max(largest, dictionary_bytes(file, column))
        if largest > _MOST_DICTIONARY_BYTES:
            raise UserError(
                f"{self.path} has a dictionary of {largest:,} bytes, expected at most {_MOST_DICTIONARY_BYTES:,}; write"
                " it without dictionaries"
            )
        return largest

    @cached_property
    def _columns(self) -> dict[str, str]:
        """Name of each column that is read -> its path in the schema."""
        columns: dict[str, str] = {}
        for field in self._schema:
            _add(columns, field.name, field.type)
        return columns

    @cached_property
    def _read_columns(self) -> tuple[ParquetColumn, ...]:
        tops = set(self._schema.names)
        return tuple(ParquetColumn(name, path, first_name(path, tops)) for name, path in self._columns.items())


def _outer_paths(path: str) -> list[str]:
    """A path of names with dots between them, and those that it begins with."""
    names = path.split(".")
    return [".".join(names[:count]) for count in range(1, len(names) + 1)]


def _add(columns: dict[str, str], path: str, kind: Any) -> None:
    """Adds a column, or those within it."""
    from pyarrow import types

    if types.is_struct(kind):
        fields = {field.name: field.type for field in kind}
        if set(fields) == {BYTES, PATH}:
            columns[path] = path
            return
        for name, inner in fields.items():
            _add(columns, f"{path}.{name}", inner)
        return
    if not (types.is_nested(kind) or types.is_null(kind)):
        columns[path] = path
