"""What is wrong with the user's files, row by row."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfdl.errors import UserError

_SHOWN = 3


@dataclass(frozen=True)
class BadRow:
    """A row, or an image, that cannot be used."""

    path: Path
    line: int | None
    """Its first line, counted from 1; none where the file has no lines."""
    reason: str

    def __str__(self) -> str:
        return f"{self.path}{'' if self.line is None else f' line {self.line}'}: {self.reason}"


@dataclass
class BadRows:
    """Those that were met."""

    skip: bool
    """Whether they are left out and counted, and are no error."""
    first: list[BadRow] = field(default_factory=list)
    count: int = 0

    def note(self, row: BadRow) -> None:
        """Remembers one."""
        self.count += 1
        if len(self.first) < _SHOWN:
            self.first.append(row)

    def sifted(self, rows: Iterable[Any]) -> Iterator[Any]:
        """The rows without the bad ones, which are noted."""
        for row in rows:
            if isinstance(row, BadRow):
                self.note(row)
            else:
                yield row

    def check(self) -> None:
        """Raises, unless they are to be skipped.

        Raises:
            UserError: there are some; the first ones are named.
        """
        if self.count and not self.skip:
            more = f"; and {self.count - len(self.first)} more" if self.count > len(self.first) else ""
            rows = "bad row" if self.count == 1 else "bad rows"
            raise UserError(
                f"{self.count} {rows}: {'; '.join(map(str, self.first))}{more}. Mend them, or leave them out with"
                " --skip-bad-rows"
            )

    @property
    def report(self) -> str:
        """What was left out, in words; empty where nothing was."""
        if not self.count:
            return ""
        rows = "1 bad row" if self.count == 1 else f"{self.count:,} bad rows"
        return f"{rows} left out, the first one {self.first[0]}"
