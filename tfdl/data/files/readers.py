"""Files of rows, one reader for each format: what is read is a row of columns, or what is wrong with it."""

import csv
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tfdl.data.files.bad_rows import BadRow
from tfdl.errors import UserError

Columns = dict[str, str]
GoodRow = tuple[int | None, Columns]
"""The row's first line, none of a file that is one text, and column -> value."""
Reader = Callable[[Path], Iterator[GoodRow | BadRow]]

TEXT = "text"
"""The one column of plain text files."""


def read_table(path: Path, delimiter: str) -> Iterator[GoodRow | BadRow]:
    """Rows of a CSV or TSV file whose first line names the columns; quoted values may go over several lines."""
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        lines = csv.reader(file, delimiter=delimiter, strict=True)
        header = _header(path, lines)
        while True:
            line = lines.line_num + 1
            try:
                values = next(lines, None)
            except csv.Error as error:
                yield BadRow(path, line, f"not a row of {_kind(delimiter)}: {error}")
                continue
            if values is None:
                return
            if not values:
                continue  # a blank line
            if len(values) != len(header):
                yield BadRow(path, line, f"{_number(len(values), 'column')}, expected {len(header)}")
            else:
                yield _decoded(path, line, dict(zip(header, values, strict=True)))


def read_json_lines(path: Path) -> Iterator[GoodRow | BadRow]:
    """One JSON object in each line; numbers and truth values count as their texts, nested values are left out."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
        for line, text in enumerate(file, 1):
            if not text.strip():
                continue
            if not _is_utf8(text):
                yield BadRow(path, line, "not UTF-8")
                continue
            try:
                value = json.loads(text)
            except ValueError as error:
                yield BadRow(path, line, f"not JSON: {error}")
                continue
            if not isinstance(value, dict):
                yield BadRow(path, line, f'a JSON {type(value).__name__}, expected an object such as {{"text": "..."}}')
                continue
            yield (
                line,
                {key: item if isinstance(item, str) else json.dumps(item) for key, item in _plain(value).items()},
            )


def read_lines(path: Path) -> Iterator[GoodRow | BadRow]:
    """Each line of a plain text file."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as file:
        for line, text in enumerate(file, 1):
            yield _decoded(path, line, {TEXT: text.rstrip("\r\n")})


def read_paragraphs(path: Path) -> Iterator[GoodRow | BadRow]:
    """Pieces of a plain text file between blank lines, each with its line ends."""
    begin = 1
    lines: list[str] = []
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as file:
        for line, text in enumerate(file, 1):
            if text.strip():
                begin = begin if lines else line
                lines.append(text)
            elif lines:
                yield _decoded(path, begin, {TEXT: "".join(lines) + text})
                lines = []
    if lines:
        yield _decoded(path, begin, {TEXT: "".join(lines)})


def read_whole(path: Path) -> Iterator[GoodRow | BadRow]:
    """A plain text file as one text."""
    yield _decoded(path, None, {TEXT: path.read_bytes().decode("utf-8-sig", "surrogateescape")})


READERS: dict[str, Reader] = {
    ".csv": lambda path: read_table(path, ","),
    ".tsv": lambda path: read_table(path, "\t"),
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
}
"""Ending of a file -> how its rows are read; all other files are plain text."""


def _header(path: Path, lines: Any) -> list[str]:
    try:
        header: list[str] = next(lines, [])
    except csv.Error as error:
        raise UserError(f"{path} line 1 is no header of columns: {error}") from error
    if not header:
        raise UserError(f"{path} is empty, expected a first line that names the columns")
    if len(set(header)) < len(header) or not all(map(str.strip, header)):
        raise UserError(f"{path} line 1 is {header}, expected a different name for each column")
    return header


def _decoded(path: Path, line: int | None, row: Columns) -> GoodRow | BadRow:
    return (line, row) if all(map(_is_utf8, row.values())) else BadRow(path, line, "not UTF-8")


def _is_utf8(text: str) -> bool:
    """Whether no byte had to be kept as a surrogate."""
    return text.isascii() or not any("\udc80" <= character <= "\udcff" for character in text)


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if isinstance(item, str | int | float | bool)}


def _kind(delimiter: str) -> str:
    return "TSV" if delimiter == "\t" else "CSV"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
