"""The numbered folders of a SavedModel's versions."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tfdl.errors import UserError
from tfdl.export.earlier_export import DESCRIPTION, SAVED_MODEL, format_of
from tfdl.interop.model_folder import WEIGHTS
from tfdl.runs import RunDirectory
from tfdl.runs.atomic import put_in_place, unfinished_folder

_PARTS = re.compile(
    r"saved_model\.pb|fingerprint\.pb|assets|assets\.extra|assets\.extra/tfdl\.json"
    r"|variables|variables/variables\.(index|data-\d+-of-\d+)"
)
# Of a rename to a folder that somebody else has made meanwhile.
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST)


@dataclass
class NewVersion:
    """A version that is being written."""

    unfinished: Path
    """The folder to fill."""
    path: Path
    """Where it will be; where it is, once it is complete."""


@contextmanager
def new_version(directory: Path, overwrite: bool) -> Iterator[NewVersion]:
    """Yields a folder to fill. It becomes a version at the end, and is removed after an error.

    If another export has taken the number meanwhile, the version gets the next one.

    Args:
        directory: of all versions; made if it does not exist.
        overwrite: whether to replace the newest version.

    Raises:
        UserError: as ``version_folder`` does.
    """
    target = version_folder(directory, overwrite)
    with unfinished_folder(target) as unfinished:
        version = NewVersion(unfinished, target)
        yield version
        if not overwrite:
            version.path = _put_under_next_number(unfinished, directory)
            return
        if target.exists():
            check_is_export(target)  # somebody may have put something there meanwhile
        put_in_place(unfinished, target, replace=True)


def _put_under_next_number(unfinished: Path, directory: Path) -> Path:
    while True:
        target = version_folder(directory, overwrite=False)
        try:
            put_in_place(unfinished, target)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
        else:
            return target


def version_folder(directory: Path, overwrite: bool) -> Path:
    """The folder of the newest version if it is replaced, or that whose number follows.

    Args:
        directory: of all versions.
        overwrite: whether to replace the newest version.

    Raises:
        UserError: the directory cannot hold versions, or the newest version is not an export alone.
    """
    _check_holds_versions(directory)
    versions = {int(path.name): path for path in directory.glob("*") if path.name.isascii() and path.name.isdecimal()}
    newest = max(versions, default=0)
    if not overwrite or not versions:
        return directory / str(newest + 1)
    check_is_export(versions[newest])
    return versions[newest]


def _check_holds_versions(directory: Path) -> None:
    """Refuses a file, and a folder that is itself something that tfdl writes: a version does not belong there."""
    name = str(directory)
    if directory.exists() and not directory.is_dir():
        raise UserError(f"{name!r} is a file, expected a directory for the exported versions")
    if (directory / SAVED_MODEL).is_file():
        parent = str(directory.absolute().parent)
        raise UserError(f"{name!r} is one version of a SavedModel, expected the directory of its versions, {parent!r}")
    found = format_of(directory) if directory.is_dir() else ""
    if found not in ("", "saved_model") or any((directory / file).is_file() for file in (DESCRIPTION, WEIGHTS)):
        kind = f"the format {found}" if found else "another format"
        raise UserError(
            f"{name!r} is an export of {kind}, expected a directory for the exported versions; give a new one"
        )
    if RunDirectory(directory).has_run():
        raise UserError(f"{name!r} is a run, expected a directory for the exported versions; give a new one")


def check_is_export(folder: Path) -> None:
    """Checks that an earlier export may be replaced.

    Args:
        folder: of a version.

    Raises:
        UserError: it is not a SavedModel, or has something else beside it.
    """
    if folder.is_symlink() or not (folder / SAVED_MODEL).is_file():
        raise UserError(f"{str(folder)!r} is no SavedModel, expected an earlier export to overwrite; give a new folder")
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not _PARTS.fullmatch(name):
            raise UserError(
                f"{str(folder)!r} has {name!r}, which an export does not write; move it, or leave out --overwrite"
            )
