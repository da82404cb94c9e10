"""The values of Parquet's columns as Python's objects."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tfdl.data.records.values import Value

BYTES = "bytes"
PATH = "path"
"""The fields of an image as Hugging Face's data sets store it: its file's content, and the file's name."""


@dataclass(frozen=True)
class ParquetColumn:
    """A column that is read."""

    name: str
    path: str
    """In the schema: names with dots between them."""
    top: str
    """The outermost column of its path."""


def rows_of(batch: Any, columns: Sequence[ParquetColumn]) -> Iterator[dict[str, Value]]:
    """The rows of some that were decoded together, name of the column -> value.

    Args:
        batch: a ``pyarrow.RecordBatch`` with the outermost columns.
        columns: that are read.
    """
    values = {top: _values(batch.column(top)) for top in dict.fromkeys(column.top for column in columns)}
    for number in range(batch.num_rows):
        row: dict[str, Value] = {}
        for column in columns:
            value = values[column.top][number]
            if len(column.path) > len(column.top):
                value = _within(value, column.path[len(column.top) + 1 :])
            plain = _plain(value)
            if plain is not None:
                row[column.name] = plain
        yield row


def _values(column: Any) -> list[Any]:
    """The values of a column as Python's objects."""
    import pyarrow

    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, OverflowError, pyarrow.ArrowException):
        # At least one has no such object.
        values = [_value(scalar) for scalar in column]
    return values


def _value(scalar: Any) -> Any:
    """A value as Python's object: a text that is not UTF-8 as bytes, a date or a time without one as its number."""
    import pyarrow

    try:
        return scalar.as_py()
    except (ValueError, OverflowError, pyarrow.ArrowException):
        if isinstance(scalar, pyarrow.StructScalar):
            return {name: _value(inner) for name, inner in scalar.items()}
        if hasattr(scalar, "as_buffer"):
            return scalar.as_buffer().to_pybytes()
        return scalar.value


def first_name(path: str, names: Collection[str]) -> str:
    """The outermost of the names that a path consists of; a name may itself have dots.

    Args:
        path: names with dots between them.
        names: one of them is the outermost one.
    """
    if path in names:
        return path
    return max((name for name in names if path.startswith(f"{name}.")), key=len)


def _within(value: Any, path: str) -> Any:
    """The value at a path of names within structs."""
    while path and value is not None:
        name = first_name(path, value)
        value = value[name]
        path = path[len(name) + 1 :]
    return value


def _plain(value: Any) -> Value | None:
    """A value as text, bytes or number; an image as its content, or else as its file's name."""
    if isinstance(value, dict):
        content = value.get(BYTES)
        return value.get(PATH) if content is None else content
    if value is None or isinstance(value, str | bytes | bool | int | float):
        return value
    return str(value)  # decimals, dates and times
