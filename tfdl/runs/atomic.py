"""Files and folders that are either complete or absent: written under a temporary name, flushed to disk, renamed."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from tfdl.runs.exchange import exchange

BEFORE = ".before"
"""Ends the name of a folder that was being replaced when its process was killed."""


def write_text(path: Path, text: str) -> None:
    """Replaces a file atomically; an error leaves the old file as it was.

    Args:
        path: the file, in an existing folder.
        text: its new content, written as UTF-8.
    """
    with new_file(path) as file:
        file.write(text)


def write_json(path: Path, values: Any) -> None:
    """Replaces a file atomically with indented JSON.

    Args:
        path: the file, in an existing folder.
        values: dictionaries, lists, strings and finite numbers.

    Raises:
        ValueError: a number is NaN or infinite, which JSON does not have.
    """
    write_text(path, json.dumps(values, indent=2, allow_nan=False) + "\n")


@contextmanager
def new_file(target: Path) -> Iterator[TextIO]:
    """Yields a temporary text file to fill. It replaces ``target`` at the end, and is removed after an error.

    Args:
        target: path of the file, in an existing folder.
    """
    temporary = _unused(target)
    try:  # before the file is there: a signal may end the program at any moment
        with open(temporary, "x", encoding="utf-8", newline="", opener=_open_for_owner) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def new_folder(target: Path, replace: bool = False) -> Iterator[Path]:
    """Yields a temporary folder to fill. It is renamed to ``target`` at the end, and removed after an error.

    Args:
        target: path of the new folder; its parents are made.
        replace: whether an existing target is replaced. It is there until the new one is complete.

    Raises:
        OSError: the target exists with contents, and ``replace`` is false.
    """
    with unfinished_folder(target) as unfinished:
        yield unfinished
        put_in_place(unfinished, target, replace)


@contextmanager
def unfinished_folder(target: Path) -> Iterator[Path]:
    """Yields a temporary folder beside a target. The caller puts it in place; after an error it is removed.

    Args:
        target: path of the folder that it may become; its parents are made.
    """
    made_parents = [parent for parent in target.parents if not parent.exists()]
    temporary = _unused(target)
    try:  # as in new_file
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir(0o700)
        yield temporary
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        with suppress(OSError):  # somebody else may have put something there
            for parent in made_parents:
                parent.rmdir()
        raise


def make_unfinished(target: Path) -> Path:
    """Makes a temporary folder beside a target, which the caller puts in place or removes.

    Args:
        target: path of the folder that it may become, in an existing folder.
    """
    temporary = _unused(target)
    temporary.mkdir(0o700)
    return temporary


def put_in_place(unfinished: Path, target: Path, replace: bool = False) -> None:
    """Flushes a folder's files to disk and renames it.

    Args:
        unfinished: the folder, in the same parent as the target.
        target: its new path.
        replace: whether an existing target is replaced.

    Raises:
        OSError: the target exists with contents, and ``replace`` is false.
    """
    for path in (*unfinished.rglob("*"), unfinished):
        if path.is_file() or path.is_dir():
            flush_to_disk(path)
    os.chmod(unfinished, 0o755)  # mkdtemp makes folders that only their owner can read
    if replace and os.path.lexists(target):
        _replace_folder(target, unfinished)
    else:
        os.rename(unfinished, target)
        flush_to_disk(target.parent)  # the new name is an entry of the parent


def _unused(target: Path) -> Path:
    """A hidden name beside a file or folder that nothing else has."""
    return target.with_name(f".{target.name}.{secrets.token_urlsafe(6)}")


def _open_for_owner(path: str, flags: int) -> int:
    """Until the file is complete, nobody else may read it."""
    return os.open(path, flags, 0o600)


def _replace_folder(target: Path, new: Path) -> None:
    """Puts a folder in the place of another one. A process that is killed at any moment leaves one of them.

    The two exchange their places in one step. Where the system cannot do that, the old one first gets a visible name,
    ``NAME.TOKEN.before``: for a moment, nothing has the target's name.
    """
    if exchange(new, target):
        flush_to_disk(target.parent)
        remove_folder(new)  # now the name of the old one
        return
    old = target.with_name(f"{target.name}.{secrets.token_urlsafe(6)}{BEFORE}")
    try:
        os.rename(target, old)
        os.rename(new, target)
    except BaseException:
        if not os.path.lexists(target):
            os.rename(old, target)
        if os.path.lexists(old):
            remove_folder(old)
        raise
    flush_to_disk(target.parent)
    remove_folder(old)


def remove_folder(path: Path) -> None:
    """Removes a folder with its contents. A link is removed itself, never the folder that it points to.

    The folder first gets a hidden name. A killed process leaves no visible folder that lacks some of its files.

    Args:
        path: the folder, or a link.
    """
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    hidden = path
    if not path.name.startswith("."):
        hidden = _unused(path)
        os.rename(path, hidden)
    shutil.rmtree(hidden)


def replace_link(link: Path, target: str) -> None:
    """Makes a symbolic link, or replaces one atomically.

    Args:
        link: path of the link.
        target: what it points to, relative to the link's folder, so that the folder can be moved.
    """
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    os.replace(temporary, link)


def flush_to_disk(path: Path) -> None:
    """Waits until the content of a file, or the names in a folder, are on the disk.

    Args:
        path: the file or folder.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
