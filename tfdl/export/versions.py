"""The numbered folders of a SavedModel's versions."""

import re
from pathlib import Path

from tfdl.errors import UserError

_MODEL_FILE = "saved_model.pb"
_PARTS = re.compile(
    r"saved_model\.pb|fingerprint\.pb|assets|assets\.extra|assets\.extra/tfdl\.json"
    r"|variables|variables/variables\.(index|data-\d+-of-\d+)"
)


def version_folder(directory: Path, overwrite: bool) -> Path:
    """The folder of the newest version if it is replaced, or that whose number follows.

    Args:
        directory: of all versions.
        overwrite: whether to replace the newest version.

    Raises:
        UserError: the directory is a file, or the newest version is not an export alone.
    """
    if directory.exists() and not directory.is_dir():
        raise UserError(f"{str(directory)!r} is a file, expected a directory for the exported versions")
    versions = {int(path.name): path for path in directory.glob("*") if path.name.isascii() and path.name.isdecimal()}
    newest = max(versions, default=0)
    if not overwrite or not versions:
        return directory / str(newest + 1)
    check_is_export(versions[newest])
    return versions[newest]


def check_is_export(folder: Path) -> None:
    """Checks that an earlier export may be replaced.

    Args:
        folder: of a version.

    Raises:
        UserError: it is not a SavedModel, or has something else beside it.
    """
    if folder.is_symlink() or not (folder / _MODEL_FILE).is_file():
        raise UserError(f"{str(folder)!r} is no SavedModel, expected an earlier export to overwrite; give a new folder")
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not _PARTS.fullmatch(name):
            raise UserError(
                f"{str(folder)!r} has {name!r}, which an export does not write; move it, or leave out --overwrite"
            )
