"""What readers of the user's files return: rows, and the names of their columns."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tfdl.data.files.bad_rows import BadRow
from tfdl.data.files.encodings import DEFAULT

Columns = dict[str, str]
GoodRow = tuple[int | None, Columns]
"""The row's first line (``None`` in a file that is one text), and column -> value."""


@dataclass(frozen=True)
class ReadOptions:
    """How files are read, if the user chose it."""

    encoding: str = DEFAULT
    delimiter: str | None = None
    """What separates the columns of a table; ``None`` for that of the file's ending."""


@dataclass(frozen=True)
class ColumnNames:
    """The columns of a file."""

    names: tuple[str, ...]
    """Names that one column has."""
    repeated: tuple[str, ...] = ()
    """Names that several columns have."""
    is_complete: bool = True
    """Whether no row has another column; false if not all rows of a file were read."""


Reader = Callable[[Path, ReadOptions], Iterator[GoodRow | BadRow]]
