"""What is wrong with the user's files, row by row."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tfdl.data.records.endings import ENDINGS, ending_of
from tfdl.errors import UserError

# Bad rows that an error message names.
_SHOWN = 3
SKIP_ADVICE = ", or leave them out with --skip-bad-rows"
"""How a command leaves out what cannot be used."""


class Bad(Protocol):
    """What cannot be used; as a text it names its place and what is wrong."""

    @property
    def advice(self) -> str:
        """How to use it nevertheless."""
        ...


@dataclass(frozen=True)
class BadRow:
    """A row, or an image, that cannot be used; or all rows of a file, for one reason."""

    path: Path
    line: int | None
    """Its first line, or its number in a file of records, counted from 1; ``None`` if the file has neither."""
    reason: str
    advice: str = ""
    """How to use it nevertheless."""
    count: int = 1
    """The number of rows, if they are all those of a file."""

    def __str__(self) -> str:
        return f"{place_of_row(self.path, self.line)}: {self.reason}"

    @property
    def with_advice(self) -> str:
        """As text, with the advice if there is any."""
        return f"{self}; {self.advice}" if self.advice else str(self)


@dataclass
class BadRows:
    """The bad rows of a data set: their number, and the first few messages."""

    skip: bool
    """Whether bad rows are left out and counted; otherwise they are an error."""
    first: list[BadRow] = field(default_factory=list)
    """The first ones, to be named in messages."""
    count: int = 0

    def note(self, row: BadRow) -> None:
        """Counts a bad row, and remembers it if it is one of the first."""
        self.count += row.count
        if len(self.first) < _SHOWN:
            self.first.append(row)

    def sifted(self, rows: Iterable[Any]) -> Iterator[Any]:
        """The good rows; bad rows are noted and left out."""
        for row in rows:
            if isinstance(row, BadRow):
                self.note(row)
            else:
                yield row

    def check(self) -> None:
        """Raises an error for bad rows that may not be skipped.

        Raises:
            UserError: there are bad rows and ``skip`` is false; the first ones are named.
        """
        if self.skip or not self.count:
            return
        num_more = self.count - sum(row.count for row in self.first)
        raise UserError(what_is_bad(self.first, self.count, num_more, "row", SKIP_ADVICE))

    @property
    def report(self) -> str:
        """What was left out, as a line to show; empty if nothing was."""
        if not self.count:
            return ""
        noun = "bad row" if self.count == 1 else "bad rows"
        return f"{self.count:,} {noun} left out, the first one {self.first[0]}"

    @property
    def notes(self) -> tuple[str, ...]:
        """The report as lines to show when a run starts: one line, or none."""
        return (self.report,) if self.count else ()


def what_is_bad(named: Sequence[Bad], count: int, num_more: int, noun: str, way_out: str) -> str:
    """A message about rows or inputs that cannot be used.

    Args:
        named: those that the message names.
        count: of all of them.
        num_more: of those that are not named.
        noun: for one of them.
        way_out: how to leave them out, after "Fix them"; empty if they cannot be left out.
    """
    plural = "" if count == 1 else "s"
    shown = "; ".join(map(str, named))
    if num_more:
        shown += f"; and {num_more} more"
    advice = "".join(f"; {text}" for text in dict.fromkeys(each.advice for each in named) if text)
    return f"{count} bad {noun}{plural}: {shown}. Fix them{way_out}{advice}"


def place_of_row(path: Path, number: int | None) -> str:
    """Where a row is, for messages.

    Args:
        path: of its file.
        number: of its first line, or of the row in a file of records; None if the file is one text.
    """
    if number is None:
        return printable(path)
    unit = "row" if ending_of(path) in (*ENDINGS, ".json") else "line"
    return f"{printable(path)} {unit} {number}"


def printable(path: Path) -> str:
    """A path for messages of one line: bytes that are not UTF-8, and characters such as line breaks, are escaped."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(mark if mark.isprintable() else mark.encode("unicode_escape").decode() for mark in text)
