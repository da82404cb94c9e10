"""Files that are whole or absent: written aside, brought to the disk, then renamed."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_text(path: Path, text: str) -> None:
    """Replaces ``path`` in one step; an error leaves the old file as it was."""
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(aside, 0o644)
        os.replace(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


def write_json(path: Path, values: Any) -> None:
    """As ``write_text``, indented JSON."""
    write_text(path, json.dumps(values, indent=2, allow_nan=False) + "\n")


@contextmanager
def new_folder(target: Path, replace: bool = False) -> Iterator[Path]:
    """A folder to fill, which becomes ``target`` when the block ends well and disappears when it does not.

    Args:
        target: the folder to be; where it exists with contents, the end is an ``OSError``, unless
        replace: it may be replaced.
    """
    made_parent = not target.parent.exists()
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        yield aside
        for file in aside.rglob("*"):
            if file.is_file():
                _to_disk(file)
        os.chmod(aside, 0o755)
        if replace and target.exists():
            shutil.rmtree(target)
        os.rename(aside, target)
        _to_disk(target.parent)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        if made_parent:
            target.parent.rmdir()
        raise


def point(link: Path, target: str) -> None:
    """Makes ``link`` a relative symbolic link to ``target`` in one step."""
    aside = link.with_name(f".{link.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    aside.symlink_to(target)
    os.replace(aside, link)


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
