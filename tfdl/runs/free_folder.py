"""The folder that an import or an export will make."""

import os
from collections.abc import Callable
from pathlib import Path

from tfdl.errors import UserError


def free_folder(path: str | Path, objection: Callable[[Path], str] | None = None, *, overwrite: bool = False) -> Path:
    """The path with links resolved, after a check that nothing is there, or what may be replaced.

    Args:
        path: of a new or empty folder.
        objection: why a folder with contents must not be replaced, such as ``"has 'notes.txt', which such an export
            does not write"``; empty if it may. Without it nothing is ever replaced.
        overwrite: whether the user asked to replace what is there.

    Raises:
        UserError: something is there that must not be replaced, or it is the working directory.
    """
    target = Path(os.path.realpath(Path(path).expanduser()))
    if target == Path.cwd() or target in Path.cwd().parents:
        raise UserError(
            f"{str(path)!r} is the working directory or above it, expected a new folder, such as {path}/new"
        )
    is_free = not target.exists() or (target.is_dir() and not any(target.iterdir()))
    if is_free:
        return target
    if objection is None:
        raise UserError(f"{str(path)!r} is not empty, expected a new or empty folder")
    reason = objection(target) if target.is_dir() else "is a file"
    if reason and overwrite:
        raise UserError(f"{str(path)!r} {reason}; expected an earlier export of this format, or a new folder")
    if reason:
        raise UserError(f"{str(path)!r} is not empty, expected a new or empty folder")
    if not overwrite:
        raise UserError(
            f"{str(path)!r} has an earlier export of this format, expected a new or empty folder; replace it with"
            " --overwrite"
        )
    return target
