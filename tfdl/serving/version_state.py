"""States of versions, and when their files are complete."""

from dataclasses import dataclass
from pathlib import Path

LOADING = "LOADING"
AVAILABLE = "AVAILABLE"
UNLOADING = "UNLOADING"
END = "END"

Stamp = tuple[tuple[str, int, int], ...]
"""Names, sizes and times of the files of a version."""


@dataclass(frozen=True)
class VersionState:
    """The state of a version, as TensorFlow Serving reports it."""

    number: int
    state: str
    error: str = ""
    """Why it could not be loaded."""


def stamp_of(folder: Path) -> Stamp:
    """Changes whenever a file of the folder does.

    Args:
        folder: of a version.
    """
    stamps = []
    for path in sorted(folder.rglob("*")):
        try:
            status = path.stat()
        except OSError:
            continue  # removed meanwhile
        stamps.append((str(path.relative_to(folder)), status.st_size, status.st_mtime_ns))
    return tuple(stamps)
