"""Paths and sizes as the report of an export shows them."""

from pathlib import Path


def shown_path(path: Path) -> str:
    """A path as it can be used where the command runs: relative to the working directory if it is within.

    Args:
        path: of what was written.
    """
    absolute = path.absolute()
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else str(path)


def size_of_files(folder: Path) -> int:
    """The bytes of all files in a folder.

    Args:
        folder: of an export.
    """
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def size_of(count: float) -> str:
    """A number of bytes for people, such as ``1.4 MiB``.

    Args:
        count: the number.
    """
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.1f} {unit}" if unit != "B" else f"{count:.0f} B"
        count /= 1024
    return f"{count:.1f} GiB"
