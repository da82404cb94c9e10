"""Parquet files: rows of named values, a few at a time however large the groups of rows are."""

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from tfdl.data.records.values import Value
from tfdl.errors import UserError

# Bytes of a file that are read ahead in each column; by default a whole group of rows is.
_BUFFER_BYTES = 2**20
# Bytes of rows that are decoded together.
_CHUNK_BYTES = 2**22
_MOST_ROWS = 4096
# The fields of an image as Hugging Face's data sets store it: its file's content, and the file's name.
_BYTES = "bytes"
_PATH = "path"


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
        except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            reason = str(error).splitlines()[0].rstrip(".")
            raise UserError(f"{path} cannot be read as Parquet ({reason}); make it again") from error

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
        paths = [self._columns[name] for name in names if name in self._columns]
        metadata = self._file.metadata
        total = 0
        for group_number in range(metadata.num_row_groups):
            group = metadata.row_group(group_number)
            for number in range(group.num_columns):
                column = group.column(number)
                if any(f"{column.path_in_schema}.".startswith(f"{path}.") for path in paths):
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

        wanted = {name: path for name, path in self._columns.items() if names is None or name in names}
        tops = sorted({self._top_of(path) for path in wanted.values()})
        num_bytes = self.num_bytes(dict.fromkeys(wanted))
        chunk = min(max(int(_CHUNK_BYTES * len(self) / max(num_bytes, 1)), 1), _MOST_ROWS)
        try:
            for batch in self._file.iter_batches(chunk, columns=list(wanted.values()), use_threads=False):
                columns = {top: batch.column(top) for top in tops}
                yield from self._rows_of(columns, wanted, batch.num_rows)
        except (pyarrow.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise UserError(
                f"{self.path} is damaged ({reason}), expected a whole Parquet file; make it again"
            ) from error

    def _rows_of(self, columns: Mapping[str, Any], wanted: Mapping[str, str], count: int) -> Iterator[dict[str, Value]]:
        items = {top: column.to_pylist() for top, column in columns.items()}
        for number in range(count):
            row: dict[str, Value] = {}
            for name, path in wanted.items():
                top = self._top_of(path)
                value = _plain(_within(items[top][number], path[len(top) + 1 :]))
                if value is not None:
                    row[name] = value
            yield row

    @cached_property
    def _columns(self) -> dict[str, str]:
        """Name of each column that is read -> its path in the schema."""
        columns: dict[str, str] = {}
        for field in self._schema:
            _add(columns, field.name, field.type)
        return columns

    def _top_of(self, path: str) -> str:
        """The outermost column; its name may itself have dots."""
        names = [field.name for field in self._schema]
        return max((name for name in names if path == name or path.startswith(f"{name}.")), key=len)


def _add(columns: dict[str, str], path: str, kind: Any) -> None:
    """Adds a column, or those within it."""
    from pyarrow import types

    if types.is_struct(kind):
        fields = {field.name: field.type for field in kind}
        if set(fields) == {_BYTES, _PATH}:
            columns[path] = path
            return
        for name, inner in fields.items():
            _add(columns, f"{path}.{name}", inner)
        return
    if not (types.is_nested(kind) or types.is_null(kind)):
        columns[path] = path


def _within(value: Any, path: str) -> Any:
    """The value at a path of names within structs."""
    while path and value is not None:
        name = max((name for name in value if path == name or path.startswith(f"{name}.")), key=len)
        value = value[name]
        path = path[len(name) + 1 :]
    return value


def _plain(value: Any) -> Value | None:
    """A value as text, bytes or number; an image as its content, or else as its file's name."""
    if isinstance(value, dict):
        content = value.get(_BYTES)
        return value.get(_PATH) if content is None else content
    if value is None or isinstance(value, str | bytes | bool | int | float):
        return value
    return str(value)  # decimals, dates and times
