"""Data sets of texts, wherever they are read from: rows of named roles."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

VALIDATION_IS_TEST = "the validation split is also the test split"
"""The note of a data set without a test split."""
Row = dict[str, str | int]
"""Role -> text, or the class number for ``label``."""


class TextSplit(Protocol):
    """A split's rows, in an order that never changes."""

    num_examples: int
    fingerprint: str
    """Changes when the rows change."""

    def __iter__(self) -> Iterator[Row]:
        """All rows, in the split's own order."""
        ...


@dataclass(frozen=True)
class TextDataset:
    """Rows of texts."""

    name: str
    splits: Mapping[str, TextSplit]
    """``train``, ``validation`` and ``test``."""
    class_names: tuple[str, ...] = ()
    """A name for each class number; empty without the role ``label``."""
    notes: tuple[str, ...] = ()
    """Lines to show when the run starts, such as how many rows were left out."""
