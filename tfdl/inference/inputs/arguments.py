"""What the user gave as inputs: files, folders, patterns, or standard input."""

import glob
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from tfdl.data.files.encodings import decode
from tfdl.errors import UserError

STANDARD_INPUT = "-"
_PATTERN = "*?["


def paths_of(argument: str, what: str) -> list[Path]:
    """The file or folder of a name, or those of a pattern such as ``photos/*.jpg``, sorted.

    Args:
        argument: what the user gave.
        what: the kind of input, for the message.

    Raises:
        UserError: there is no such file or folder.
    """
    path = Path(os.path.expanduser(argument))
    if os.path.exists(path):
        return [path]
    if any(mark in argument for mark in _PATTERN):
        found = sorted(map(Path, glob.glob(str(path), recursive=True)), key=os.fsencode)
        if found:
            return found
        raise UserError(f"no file matches {argument!r}, expected the pattern of existing {what}")
    advice = "; for a text, give --text" if what.startswith("text") else ""
    raise UserError(f"no such file or folder: {argument!r}, expected {what}{advice}")


def lines_of_standard_input(encoding: str) -> Iterator[tuple[int, str]]:
    """The lines as they come, without their ends, numbered from 1.

    Args:
        encoding: of the input; bytes that it does not have become the mark that ``what_is_wrong`` finds.
    """
    for number, line in enumerate(sys.stdin.buffer, 1):
        yield number, decode(line, encoding).rstrip("\r\n")


def is_typed_by_hand(arguments: tuple[str, ...]) -> bool:
    """Whether a person at a terminal types the inputs.

    Args:
        arguments: what the user gave as inputs.
    """
    return STANDARD_INPUT in arguments and sys.stdin.isatty()
