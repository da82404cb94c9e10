"""The folder that an import or an export will make."""

import os
from collections.abc import Callable
from pathlib import Path

from tfdl.errors import UserError


def free_folder(path: str | Path, is_replaceable: Callable[[Path], bool] | None = None) -> Path:
    """The path with links resolved, after a check that nothing is there, or what may be replaced.

    Args:
        path: of a new or empty folder.
        is_replaceable: whether a folder with contents may be replaced. Defaults to no.

    Raises:
        UserError: something else is there, or it is the working directory, which cannot be replaced.
    """
    target = Path(os.path.realpath(Path(path).expanduser()))
    if target == Path.cwd() or target in Path.cwd().parents:
        raise UserError(
            f"{str(path)!r} is the working directory or above it, expected a new folder, such as {path}/new"
        )
    is_free = not target.exists() or (target.is_dir() and not any(target.iterdir()))
    if is_free:
        return target
    if is_replaceable is None:
        raise UserError(f"{str(path)!r} is not empty, expected a new or empty folder")
    if not target.is_dir() or not is_replaceable(target):
        raise UserError(
            f"{str(path)!r} is not only what such an export consists of, expected an earlier export to overwrite; give"
            " a new folder"
        )
    return target
