"""Where a test runs: what no file of an export may tell."""

import getpass
import re
import socket
import sys
from pathlib import Path

import tfdl

# A shorter name is found in any numbers.
_LONG_ENOUGH = 5


def places_in(contents, run, more=()):
    """The paths, the host and the user that files contain.

    Args:
        contents: file's name -> its bytes.
        run: the exported run.
        more: other names that must not be there.
    """
    paths = [run.path, Path(tfdl.__file__).parent.parent, Path.home(), Path(sys.executable).parent, Path.cwd()]
    names = {str(path) for path in paths if len(str(path)) > 1}
    names |= {socket.gethostname(), getpass.getuser(), *more}
    return [(file, name) for file, data in contents.items() for name in sorted(names) if _has(data, name)]


def _has(data, name):
    """Whether a file has a name; a short one counts as a word of a text only."""
    if len(name) >= _LONG_ENOUGH:
        return name.encode() in data
    is_text = b"\0" not in data
    return is_text and re.search(rb"\b%s\b" % re.escape(name.encode()), data) is not None
