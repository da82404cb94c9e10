"""Two paths exchange their places in one step, where the system can do that."""

import ctypes
import errno
import os
from pathlib import Path

# Linux's renameat2, from its headers.
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
# A system or a file system that does not know the flag, such as NFS.
_UNKNOWN = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


def exchange(first: Path, second: Path) -> bool:
    """Exchanges two files or folders of one file system. At every moment, both paths exist.

    Args:
        first: an existing path.
        second: another one.

    Returns:
        Whether they were exchanged; False where the system or the file system cannot do it.

    Raises:
        OSError: one of them does not exist, or may not be renamed.
    """
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNKNOWN:
        return False
    raise OSError(number, os.strerror(number), str(first), None, str(second))
