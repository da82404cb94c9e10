"""Where a test runs: what no file of an export may tell."""

import getpass
import socket
import sys
from pathlib import Path

import tfdl


def places_in(contents, run):
    """The paths, the host and the user that files contain.

    Args:
        contents: file's name -> its bytes.
        run: the exported run.
    """
    places = [run.path, Path(tfdl.__file__).parent.parent, Path.home(), Path(sys.executable).parent, Path.cwd()]
    names = [str(place) for place in places if len(str(place)) > 1]
    names += [name for name in (socket.gethostname(), getpass.getuser()) if len(name) > 4]  # shorter ones are anywhere
    return [(file, name) for file, data in contents.items() for name in names if name.encode() in data]
