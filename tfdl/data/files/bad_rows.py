"""What is wrong with the user's files, row by row."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfdl.data.records.endings import ENDINGS, ending_of
from tfdl.errors import UserError

# Bad rows that an error message names.
_SHOWN = 3


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
        if self.line is None:
            return f"{printable(self.path)}: {self.reason}"
        unit = "row" if ending_of(self.path) in (*ENDINGS, ".json") else "line"
        return f"{printable(self.path)} {unit} {self.line}: {self.reason}"

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
        noun = "bad row" if self.count == 1 else "bad rows"
        shown = "; ".join(map(str, self.first))
        num_more = self.count - sum(row.count for row in self.first)
        if num_more:
            shown += f"; and {num_more} more"
        advice = "".join(f"; {text}" for text in dict.fromkeys(row.advice for row in self.first) if text)
        raise UserError(f"{self.count} {noun}: {shown}. Fix them, or leave them out with --skip-bad-rows{advice}")

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


def printable(path: Path) -> str:
    """A path for messages of one line: bytes that are not UTF-8, and characters such as line breaks, are escaped."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(mark if mark.isprintable() else mark.encode("unicode_escape").decode() for mark in text)
