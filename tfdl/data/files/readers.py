"""Readers of files of rows, one for each format. A reader yields each row's columns, or what is wrong with the row."""

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
"""The row's first line (``None`` in a file that is one text), and column -> value."""
Reader = Callable[[Path], Iterator[GoodRow | BadRow]]

TEXT = "text"
"""The only column of plain text files."""


def read_table(path: Path, delimiter: str) -> Iterator[GoodRow | BadRow]:
    """Rows of a CSV or TSV file. Its first line names the columns; quoted values may span several lines.

    Args:
        path: the file.
        delimiter: what separates values: a comma or a tab.

    Raises:
        UserError: no first line that names the columns.
    """
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.reader(file, delimiter=delimiter, strict=True)
        header = _header(path, rows)
        while True:
            line = rows.line_num + 1
            try:
                values = next(rows, None)
            except csv.Error as error:
                table_format = "TSV" if delimiter == "\t" else "CSV"
                yield BadRow(path, line, f"not a row of {table_format}: {error}")
                continue
            if values is None:
                return
            if not values:
                continue  # a blank line
            if len(values) != len(header):
                noun = "column" if len(values) == 1 else "columns"
                yield BadRow(path, line, f"{len(values)} {noun}, expected {len(header)}")
            else:
                yield _checked(path, line, dict(zip(header, values, strict=True)))


def read_json_lines(path: Path) -> Iterator[GoodRow | BadRow]:
    """One JSON object on each line. Numbers and booleans are read as texts; nested values and null are left out."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
        for line, text in enumerate(file, 1):
            if not text.strip():
                continue
            if not _is_utf8(text):
                yield BadRow(path, line, "not UTF-8")
                continue
            try:
                value = json.loads(text)
            except (ValueError, RecursionError) as error:  # RecursionError: nested too deeply
                yield BadRow(path, line, f"not JSON: {error}")
                continue
            if not isinstance(value, dict):
                yield BadRow(path, line, f'a JSON {type(value).__name__}, expected an object such as {{"text": "..."}}')
                continue
            yield line, _texts(value)


def read_lines(path: Path) -> Iterator[GoodRow | BadRow]:
    """Each line of a plain text file."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as file:
        for line, text in enumerate(file, 1):
            yield _checked(path, line, {TEXT: text.rstrip("\r\n")})


def read_paragraphs(path: Path) -> Iterator[GoodRow | BadRow]:
    """Texts that are separated by blank lines in a plain text file, with their line ends.

    A text includes the first of the blank lines after it.
    """
    first_line = 1
    paragraph: list[str] = []
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as file:
        for line, text in enumerate(file, 1):
            if text.strip():
                if not paragraph:
                    first_line = line
                paragraph.append(text)
            elif paragraph:
                yield _checked(path, first_line, {TEXT: "".join(paragraph) + text})
                paragraph = []
    if paragraph:
        yield _checked(path, first_line, {TEXT: "".join(paragraph)})


def read_whole(path: Path) -> Iterator[GoodRow | BadRow]:
    """A plain text file as one text."""
    yield _checked(path, None, {TEXT: path.read_bytes().decode("utf-8-sig", "surrogateescape")})


READERS: dict[str, Reader] = {
    ".csv": lambda path: read_table(path, ","),
    ".tsv": lambda path: read_table(path, "\t"),
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
}
"""Ending of a file -> its reader; files of all other endings are plain text."""


def _header(path: Path, rows: Any) -> list[str]:
    """The names of the columns, from the first row of a ``csv.reader``."""
    try:
        header: list[str] = next(rows, [])
    except csv.Error as error:
        raise UserError(f"{path} line 1 is not a header of columns: {error}") from error
    if not header:
        raise UserError(f"{path} is empty, expected a first line that names the columns")
    if len(set(header)) < len(header) or not all(map(str.strip, header)):
        raise UserError(f"{path} line 1 is {header}, expected a different name for each column")
    return header


def _checked(path: Path, line: int | None, row: Columns) -> GoodRow | BadRow:
    """The row, or a bad row if its bytes are not UTF-8."""
    if all(_is_utf8(value) for value in row.values()):
        return line, row
    return BadRow(path, line, "not UTF-8")


def _is_utf8(text: str) -> bool:
    """Whether the text was decoded without ``surrogateescape``, which keeps each wrong byte as U+DC80 to U+DCFF."""
    return text.isascii() or not any("\udc80" <= character <= "\udcff" for character in text)


def _texts(value: Mapping[str, Any]) -> Columns:
    """The strings of a JSON object as they are, its numbers and booleans as JSON; all else is left out."""
    columns = {}
    for key, item in value.items():
        if isinstance(item, str):
            columns[key] = item
        elif isinstance(item, int | float | bool):
            columns[key] = json.dumps(item)
    return columns
