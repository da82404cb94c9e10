"""A check before a file is opened."""

import stat
from pathlib import Path

from tfdl.errors import UserError


def check_regular(path: Path) -> None:
    """Refuses what is no file, such as a pipe, which would be waited for.

    Args:
        path: of the file.

    Raises:
        UserError: something else is there.
        FileNotFoundError: nothing is there.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise UserError(f"{path.name} is no regular file")
