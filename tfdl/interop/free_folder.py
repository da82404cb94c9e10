"""The folder that an import or an export will make."""

import os
from pathlib import Path

from tfdl.errors import UserError


def free_folder(path: str | Path) -> Path:
    """The path with links resolved, after a check that nothing is there.

    Args:
        path: of a new or empty folder.

    Raises:
        UserError: something is there, or it is the working directory, which cannot be replaced.
    """
    target = Path(os.path.realpath(Path(path).expanduser()))
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{str(path)!r} is not empty, expected a new or empty folder")
    if target == Path.cwd():
        raise UserError(f"{str(path)!r} is the working directory, expected a new folder, such as {path}/new")
    return target
