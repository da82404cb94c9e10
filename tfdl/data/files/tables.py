"""Tables: a first line that names the columns, and rows of values."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from io import TextIOWrapper
from itertools import islice
from pathlib import Path

from tfdl.data.files.bad_rows import BadRow
from tfdl.data.files.encodings import ADVICE, open_text, readable, what_is_wrong
from tfdl.data.files.rows import ColumnNames, GoodRow, ReadOptions
from tfdl.data.files.table_rows import MARK, count_quoted, split_rows
from tfdl.errors import UserError

TAB = "\t"
ENDINGS = {".csv": ",", ".tsv": TAB}
"""Ending of a file -> what separates its columns."""
# What separates columns in practice, and how it is called and typed.
_DELIMITERS = {
    ",": ("commas", "','"),
    ";": ("semicolons", "';'"),
    TAB: ("tabs", "tab"),
    "|": ("vertical bars", "'|'"),
}
_MOST_COLUMNS = 100_000
# The number of its first line, and its values, or the reason why it is no row.
_Row = tuple[int, list[str] | str]


@dataclass(frozen=True)
class Quoting:
    """What quotation marks mean in a table."""

    is_used: bool
    """Whether values may be enclosed in them; otherwise they are characters like others."""
    line: int | None = None
    """If they are characters: the first line where a value begins with one and does not end with one."""
    num_long: int = 0
    """Rows with values in quotation marks that span several lines."""


def read_table(path: Path, options: ReadOptions) -> Iterator[GoodRow | BadRow]:
    """Rows of a table. Values in quotation marks may span several lines.

    Columns without a name, and those that share one, are left out of the rows.

    Args:
        path: the file.
        options: its encoding and its delimiter.

    Raises:
        UserError: as for ``table_columns``.
    """
    delimiter = delimiter_of(path, options)
    has_quoting = quoting_of(path, options).is_used
    with _open(path, options) as file:
        rows = split_rows(file, delimiter, has_quoting=has_quoting)
        names = _header(path, options, next(rows, None))
        once = set(_column_names(names).names)
        places = {name: place for place, name in enumerate(names) if name in once}
        num_named = max(place for place, name in enumerate(names, 1) if name)
        for line, values in rows:
            if isinstance(values, str):
                yield BadRow(path, line, f"not a row of {path.suffix[1:].upper() or 'a table'}: {values}")
            elif num_named > 1 and tuple(map(str.strip, values)) == names:
                yield BadRow(path, line, "the names of the columns once more")
            elif len(values) < num_named or any(map(str.strip, values[len(names) :])):
                noun = "column" if len(values) == 1 else "columns"
                yield BadRow(path, line, f"{len(values)} {noun}, expected {num_named}")
            else:
                yield line, {name: values[place] for name, place in places.items()}


def table_columns(path: Path, options: ReadOptions) -> ColumnNames:
    """The columns that the first line names.

    Args:
        path: the file.
        options: its encoding and its delimiter.

    Raises:
        UserError: no first line that names columns, another delimiter, or another encoding.
    """
    first = _first_row(path, options, delimiter_of(path, options), quoting_of(path, options).is_used)
    return _column_names(_header(path, options, first))


def delimiter_of(path: Path, options: ReadOptions) -> str:
    """What separates the columns.

    Args:
        path: the file.
        options: the delimiter that the user chose, if any.
    """
    return options.delimiter or ENDINGS.get(path.suffix.lower(), ",")


def quoting_of(path: Path, options: ReadOptions) -> Quoting:
    """What quotation marks mean in a table.

    If columns are separated by tabs, the majority decides: marks enclose values if more rows with a value that begins
    with one can be read so than cannot. In all other tables they always do.

    Args:
        path: the file.
        options: its encoding and its delimiter.
    """
    if delimiter_of(path, options) != TAB:
        return Quoting(is_used=True)
    status = path.stat()
    return _quoting_with_tabs(path, options, (status.st_size, status.st_mtime_ns))


# One entry for each file; it is small, and a folder may have many files.
@lru_cache(maxsize=2**20)
def _quoting_with_tabs(path: Path, options: ReadOptions, version: tuple[int, int]) -> Quoting:  # noqa: ARG001
    """``version`` changes with the file, which is then read again."""
    with _open(path, options) as file:
        found = count_quoted(file, TAB)
    if found.num_wrong and found.num_wrong >= found.num_good:
        return Quoting(is_used=False, line=found.first_wrong)
    return Quoting(is_used=True, num_long=found.num_long)


def _open(path: Path, options: ReadOptions) -> TextIOWrapper:
    """Opens a table. A carriage return ends its lines only if it ends the first one, and is a character otherwise."""
    file = open_text(path, options.encoding, newline="")
    first = file.readline()
    file.seek(0)
    if not first.endswith("\r"):
        file.reconfigure(newline="\n")
    return file


def _header(path: Path, options: ReadOptions, found: _Row | None) -> tuple[str, ...]:
    """The names of all columns, from the first row; empty for a column without one."""
    if found is None:
        raise UserError(f"{path} is empty, expected a first line that names the columns")
    line, values = found
    is_one = isinstance(values, str) or len(values) == 1
    if is_one and options.delimiter is None:
        _refuse_other_delimiters(path, options, delimiter_of(path, options))
    if isinstance(values, str):
        raise UserError(f"{path} line {line} is not a header of columns: {values}")
    if len(values) > _MOST_COLUMNS:
        raise UserError(f"{path} line {line} has {len(values):,} columns, expected at most {_MOST_COLUMNS:,}")
    wrong = _wrong_encoding(values, options)
    if wrong:
        raise UserError(f"{path} line {line} names columns, but is {wrong}; {ADVICE}")
    names = tuple(value.strip() for value in values)
    if not quoting_of(path, options).is_used:
        names = tuple(name.strip(MARK).strip() for name in names)
    if not any(names):
        raise UserError(f"{path} line {line} is {values}, expected a first line that names the columns")
    return names


def _first_row(path: Path, options: ReadOptions, delimiter: str, has_quoting: bool) -> _Row | None:
    with _open(path, options) as file:
        return next(split_rows(file, delimiter, has_quoting=has_quoting), None)


def _refuse_other_delimiters(path: Path, options: ReadOptions, delimiter: str) -> None:
    """Raises ``UserError`` if another delimiter separates the first line into columns."""
    for other, (noun, typed) in _DELIMITERS.items():
        found = _first_row(path, options, other, has_quoting=True)
        if other != delimiter and found is not None and isinstance(found[1], list) and len(found[1]) > 1:
            expected, _ = _DELIMITERS[delimiter]
            wrong = _wrong_encoding(found[1], options)
            encoding = f". It is also {wrong}; {ADVICE}" if wrong else ""
            shown = ", ".join(islice((readable(value.strip()) for value in found[1]), 10))
            raise UserError(
                f"{path} has {noun} between its columns ({shown}), expected {expected}; read it with"
                f" --delimiter {typed}{encoding}"
            )


def _wrong_encoding(values: list[str], options: ReadOptions) -> str:
    """Why the first of these values that cannot be used cannot be; empty if all can."""
    return next(filter(None, (what_is_wrong(value, options.encoding) for value in values)), "")


def _column_names(header: tuple[str, ...]) -> ColumnNames:
    counts = Counter(name for name in header if name)
    once = tuple(name for name, count in counts.items() if count == 1)
    repeated = tuple(name for name, count in counts.items() if count > 1)
    return ColumnNames(once, repeated)
