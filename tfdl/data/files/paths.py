"""Which names of data sets are paths, and which of their files belong to which split."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from tfdl.data.files.readers import READERS
from tfdl.errors import UserError

_ENDS_OF_PATHS = ("/", ".txt", *READERS)
_SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


def is_local(name: str) -> bool:
    """Whether a data set's name is the path of files.

    It is where it begins or ends as paths alone do (``/``, ``./``, ``../``, ``~``; a slash, a table's or a text's
    ending), or has a folder or an ending in it and is there; a comma stands between two parallel files. All other names
    are looked up in the catalogue.
    """
    if name.startswith(("/", "./", "../", "~")) or name in (".", "..") or name.lower().endswith(_ENDS_OF_PATHS):
        return True
    # Not pathlib's, which raises where a name is too long for a file.
    return any(("/" in part or Path(part).suffix) and os.path.exists(part) for part in (name, *name.split(",")) if part)


def existing(path: str) -> Path:
    """The path, made sure of.

    Raises:
        UserError: nothing is there.
    """
    found = Path(path).expanduser()
    if not os.path.exists(found):
        raise UserError(f"dataset {path!r}: no such file or folder; expected a path, or the name of a data set")
    return found


def files_below(folder: Path, suffixes: Iterable[str]) -> list[Path]:
    """All files with these endings at any depth, in the order of their names; hidden ones are left out."""
    wanted = set(suffixes)
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in wanted
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def split_of_name(name: str) -> str | None:
    """``train``, ``validation`` or ``test`` for a file or folder called so, such as ``wiki.valid.tokens``."""
    words = [word for word in re.split(r"[^a-z]+", name.lower()) if word in _SPLIT_WORDS]
    return _SPLIT_WORDS[words[0]] if words else None
