"""Writes answers as JSON lines or CSV, one after the other."""

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TextIO

from tfdl.errors import RunError, UserError
from tfdl.inference.items import Item
from tfdl.tasks.prediction import Record

Format = Literal["jsonl", "csv"]
FORMATS: tuple[Format, ...] = ("jsonl", "csv")


def format_of(path: Path | None) -> Format:
    """The format that a file's ending asks for.

    Args:
        path: the file; None for standard output.
    """
    return "csv" if path is not None and path.suffix.lower() == ".csv" else "jsonl"


def whole_record(item: Item, record: Record) -> Record:
    """An answer with the place of its input, the columns that are kept, and the input itself if it is a text.

    Args:
        item: the input.
        record: the answer.

    Raises:
        UserError: a column that is kept has the name of a part of the answer.
    """
    for name in item.kept:
        if name in record or name == "input":
            raise UserError(f"--keep-column {name!r} is also a name in the answer; rename the column")
    whole: Record = {"input": item.name} if item.name else {}
    whole.update(item.kept)
    whole.update({name: value for name, value in item.values.items() if isinstance(value, str)})
    whole.update(record)
    return whole


def record_writer(file: TextIO, file_format: Format) -> Callable[[Record], None]:
    """A function that writes one record.

    Args:
        file: where to write.
        file_format: ``jsonl``, an object on each line, or ``csv``, whose first line names the columns of the first
            record.
    """
    if file_format == "jsonl":
        return lambda record: _write_json(file, record)
    return _CsvWriter(file)


def _write_json(file: TextIO, record: Record) -> None:
    file.write(json.dumps(_finite(record), ensure_ascii=False, allow_nan=False) + "\n")


class _CsvWriter:
    """Nested values become columns with joined names, such as ``top_1_class_name``."""

    def __init__(self, file: TextIO):
        self._file = file
        self._writer: csv.DictWriter[str] | None = None

    def __call__(self, record: Record) -> None:
        row = dict(_flat("", record))
        if self._writer is None:
            self._writer = csv.DictWriter(self._file, list(row), lineterminator="\n")
            self._writer.writeheader()
        columns = self._writer.fieldnames
        if list(row) != list(columns):
            raise RunError(
                f"an answer has {len(row)} values and the first one has {len(columns)}, so they make no table; write"
                " them with --format jsonl"
            )
        self._writer.writerow(row)


def _flat(prefix: str, value: Any) -> Any:
    """Names and plain values."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(f"{prefix}_{name}" if prefix else name, inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value, 1):
            yield from _flat(f"{prefix}_{number}", inner)
    else:
        yield prefix, value


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return value
