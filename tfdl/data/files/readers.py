"""Readers of files of rows, one for each format. A reader yields each row's columns, or what is wrong with the row."""

import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tfdl.data.files.bad_rows import BadRow
from tfdl.data.files.encodings import ADVICE, EncodingError, open_text, what_is_wrong
from tfdl.data.files.rows import ColumnNames, Columns, GoodRow, Reader, ReadOptions
from tfdl.data.files.tables import ENDINGS, read_table, table_columns
from tfdl.data.records.endings import ENDINGS as RECORD_ENDINGS
from tfdl.data.records.endings import ending_of
from tfdl.data.records.texts import read_record_texts, record_columns

TEXT = "text"
"""The only column of plain text files."""
NUM_SAMPLED = 5000
"""Rows of a file that are read to find out about its columns."""


def read_json_lines(path: Path, options: ReadOptions) -> Iterator[GoodRow | BadRow]:
    """One JSON object on each line. Numbers and booleans are read as texts; nested values and null are left out.

    Args:
        path: the file.
        options: its encoding.
    """
    with open_text(path, options.encoding, newline=None) as file:
        for line, text in enumerate(file, 1):
            if not text.strip():
                continue
            try:
                value = json.loads(text)
            except (ValueError, RecursionError) as error:  # RecursionError: nested too deeply
                wrong = what_is_wrong(text, options.encoding)
                yield BadRow(path, line, wrong or f"not JSON: {error}", ADVICE if wrong else "")
                continue
            if not isinstance(value, dict):
                yield BadRow(path, line, f'a JSON {type(value).__name__}, expected an object such as {{"text": "..."}}')
                continue
            yield line, _texts(value)


def read_json(path: Path, options: ReadOptions) -> Iterator[GoodRow | BadRow]:
    """A file of one JSON array of objects, which is held in memory while it is read; or else JSON lines.

    Args:
        path: the file.
        options: its encoding.
    """
    with open_text(path, options.encoding, newline=None) as file:
        text = file.read()
    if not text.lstrip().startswith("["):
        yield from read_json_lines(path, options)
        return
    try:
        items = json.loads(text)
    except (ValueError, RecursionError) as error:
        wrong = what_is_wrong(text, options.encoding)
        yield BadRow(path, None, wrong or f"not JSON: {error}", ADVICE if wrong else "")
        return
    for number, value in enumerate(items, 1):
        if isinstance(value, dict):
            yield number, _texts(value)
        else:
            yield BadRow(path, number, f'a JSON {type(value).__name__}, expected an object such as {{"text": "..."}}')


def read_lines(path: Path, options: ReadOptions) -> Iterator[GoodRow | BadRow]:
    """Each line of a plain text file.

    Args:
        path: the file.
        options: its encoding.
    """
    with open_text(path, options.encoding) as file:
        for line, text in enumerate(file, 1):
            yield line, {TEXT: text.rstrip("\r\n")}


def read_paragraphs(path: Path, options: ReadOptions) -> Iterator[GoodRow | BadRow]:
    """Texts that are separated by blank lines in a plain text file, with their line ends.

    A text includes the first of the blank lines after it.

    Args:
        path: the file.
        options: its encoding.
    """
    first_line = 1
    paragraph: list[str] = []
    with open_text(path, options.encoding) as file:
        for line, text in enumerate(file, 1):
            if text.strip():
                if not paragraph:
                    first_line = line
                paragraph.append(text)
            elif paragraph:
                yield first_line, {TEXT: "".join(paragraph) + text}
                paragraph = []
    if paragraph:
        yield first_line, {TEXT: "".join(paragraph)}


def read_whole(path: Path, options: ReadOptions) -> Iterator[GoodRow | BadRow]:
    """A plain text file as one text.

    Args:
        path: the file.
        options: its encoding.
    """
    try:
        with open_text(path, options.encoding, newline="") as file:
            yield None, {TEXT: file.read()}
    except EncodingError as error:  # of many files, one in another encoding may be left out
        yield BadRow(path, None, error.reason, error.advice)


READERS: dict[str, Reader] = {
    **dict.fromkeys(ENDINGS, read_table),
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    **dict.fromkeys(RECORD_ENDINGS, read_record_texts),
}
"""Ending of a file -> its reader; files of all other endings are plain text."""
_ALONE: dict[str, Reader] = {".json": read_json}
"""For a file that the user names. In folders, such files describe the others."""


def reader_of(path: Path) -> Reader | None:
    """The reader of a file of rows; ``None`` for a plain text.

    Args:
        path: the file.
    """
    return {**READERS, **_ALONE}.get(ending_of(path))


def columns_of_file(path: Path, read: Reader, options: ReadOptions) -> ColumnNames:
    """The columns of a file: of a table those that its first line names, of others those that its first rows have.

    Args:
        path: the file.
        read: its reader.
        options: how it is read.
    """
    if read is read_table:
        return table_columns(path, options)
    if read is read_record_texts:
        return record_columns(path, options)
    rows = list(itertools.islice(read(path, options), NUM_SAMPLED))
    names: dict[str, None] = {}  # a set in the order of insertion
    for row in rows:
        if not isinstance(row, BadRow):
            names.update(dict.fromkeys(row[1]))
    return ColumnNames(tuple(names), is_complete=len(rows) < NUM_SAMPLED)


def _texts(value: Mapping[str, Any]) -> Columns:
    """The strings of a JSON object as they are, its numbers and booleans as JSON; all else is left out."""
    columns = {}
    for key, item in value.items():
        if isinstance(item, str):
            columns[key] = item
        elif isinstance(item, int | float | bool):
            columns[key] = json.dumps(item)
    return columns
