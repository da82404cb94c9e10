"""Folders of the user's files, read once: links are followed, hidden files and files of other kinds are left out."""

import os
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tfdl.data.records.endings import ending_of

# Folders that programs for archives and file servers leave behind.
_RUBBISH = {"__macosx", "@eadir", "__pycache__", "$recycle.bin", "lost+found"}
BROKEN_LINK = "broken link"
"""In place of an ending: links that lead nowhere."""
NESTED_LINK = "link to a folder in a folder that a link leads to"
"""In place of an ending: following them could go on without an end."""


@dataclass
class Folder:
    """A folder with the files that are wanted, at any depth. Folders without any are left out."""

    path: Path
    folders: dict[str, "Folder"] = field(default_factory=dict)
    """By name, in the order of the names."""
    files: list[Path] = field(default_factory=list)
    """Directly in it, in the order of the names."""
    bare: list[str] = field(default_factory=list)
    """Names of the folders directly in it that are left out, since they have no file that is wanted."""
    others: Counter[str] = field(default_factory=Counter)
    """Endings of the files at any depth that are not wanted, and their numbers; also links that are not followed."""

    def all_files(self) -> Iterator[Path]:
        """The files at any depth, in the order of the names."""
        yield from self.files
        for folder in self.folders.values():
            yield from folder.all_files()

    @property
    def has_files(self) -> bool:
        """Whether there is any file, at any depth."""
        return bool(self.files or self.folders)


def read_tree(path: Path, endings: Collection[str]) -> Folder:
    """Reads a folder.

    A link to a folder is followed, but not in a folder that a link leads to, nor back to a folder that it is in. Names
    that begin with a dot are hidden and left out.

    Args:
        path: the folder.
        endings: of the files that are wanted, in lower case, such as ``.txt``; upper case matches too.
    """
    return _read(path, set(endings), (), is_linked=False)


def name_of(path: Path) -> str:
    """A file's or folder's name as text; bytes that are not UTF-8 are read as Latin-1."""
    try:
        return os.fsencode(path.name).decode("utf-8")
    except UnicodeDecodeError:
        return os.fsencode(path.name).decode("latin-1")


def _read(path: Path, endings: set[str], outer: tuple[tuple[int, int], ...], *, is_linked: bool) -> Folder:
    """Reads a folder.

    Args:
        path: the folder.
        endings: of the files that are wanted.
        outer: identifies the folders on the way here, by device and number.
        is_linked: whether a link leads to this folder or to an outer one.
    """
    folder = Folder(path)
    status = path.stat()
    chain = (*outer, (status.st_dev, status.st_ino))
    for entry in sorted(os.scandir(path), key=lambda entry: os.fsencode(entry.name)):
        if entry.name.startswith(".") or entry.name.lower() in _RUBBISH:
            continue
        child = path / entry.name
        is_link = entry.is_symlink()
        if is_link and not child.exists():  # it leads nowhere, or to itself
            folder.others[BROKEN_LINK] += 1
        elif entry.is_dir():
            inner_status = entry.stat()
            if (inner_status.st_dev, inner_status.st_ino) in chain:
                continue
            if is_link and is_linked:
                folder.others[NESTED_LINK] += 1
                continue
            inner = _read(child, endings, chain, is_linked=is_linked or is_link)
            folder.others += inner.others
            if inner.has_files:
                folder.folders[entry.name] = inner
            else:
                folder.bare.append(entry.name)
        elif entry.is_file():
            ending = ending_of(child)
            if ending in endings:
                folder.files.append(child)
            else:
                folder.others[ending] += 1
    return folder
