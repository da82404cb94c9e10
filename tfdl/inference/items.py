"""Inputs one by one, good and bad."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tfdl.data.files.bad_rows import BadRow, place_of_row


@dataclass(frozen=True)
class Item:
    """The raw inputs of one sample."""

    name: str
    """Where it comes from, such as a file's path, with the line or row in a file of several; empty if unknown."""
    values: Mapping[str, Any]
    """Input name -> its value. An image may be the path or the content of its file, which is read when it is needed."""
    kept: Mapping[str, str] = field(default_factory=dict)
    """Columns that are copied to the output."""

    @property
    def num_bytes(self) -> int:
        """Memory that its texts, file contents and arrays take."""
        return sum(map(_num_bytes, self.values.values()))


def _num_bytes(value: Any) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    return int(getattr(value, "nbytes", 0))


@dataclass(frozen=True)
class BadItem:
    """An input that cannot be used."""

    name: str
    """As for ``Item``."""
    reason: str
    advice: str = ""
    """How to use it nevertheless."""

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}" if self.name else self.reason

    @classmethod
    def of_row(cls, row: BadRow) -> "BadItem":
        """A row of a file that cannot be used."""
        return cls(place_of_row(row.path, row.line), row.reason, row.advice)
