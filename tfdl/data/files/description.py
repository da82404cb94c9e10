"""What is known of the user's files, for ``tfdl datasets show``."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from tfdl.data.hash_split import SPLITS
from tfdl.errors import UserError


@dataclass
class FilesDescription:
    """What is known of a path."""

    name: str
    kind: str
    """Such as ``images in class folders``."""
    num_files: int
    num_bytes: int
    tasks: dict[str, dict[str, str]] = field(default_factory=dict)
    """Task that can use the files without options -> role -> column."""
    splits: dict[str, int] = field(default_factory=dict)
    """Samples in each split, as training would have them."""
    classes: dict[str, dict[str, int]] = field(default_factory=dict)
    """Class -> split -> number of samples."""
    sizes: str = ""
    """Of images: height and width, or the smallest and the largest of each."""
    columns: dict[str, str] = field(default_factory=dict)
    """Column -> what its values are."""
    first_rows: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What was left out, and what would keep a run from starting."""

    def note_bad_rows(self, count: int) -> None:
        """Adds what to do about rows or images that cannot be used.

        Args:
            count: their number.
        """
        if count:
            self.notes.append("bad rows are errors in training; to leave them out there too: --skip-bad-rows")


class DescribedFiles(Protocol):
    """Files that were read once, to describe them."""

    description: FilesDescription

    def samples(self, split: str, count: int) -> list[dict[str, Any]]:
        """Samples of a split.

        Args:
            split: ``train``, ``validation`` or ``test``.
            count: most samples.

        Raises:
            UserError: there are none.
        """
        ...


def check_split(split: str) -> None:
    """Refuses a split that the user's files do not have.

    Raises:
        UserError: it is none of ``train``, ``validation`` and ``test``.
    """
    if split not in SPLITS:
        raise UserError(f"unknown split {split!r} of your own files, expected one of {', '.join(SPLITS)}")
