"""Output that another program reads, which may have read enough before the end."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """A block that prints. It ends early, without an error, when a program such as ``head`` has read enough."""
    try:
        yield
    except BrokenPipeError:
        _drop(sys.stdout)


def drop_unreadable_output() -> None:
    """Writes what is still to be printed, or drops it if nobody can read it any more."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _drop(stream)


def _drop(stream: TextIO) -> None:
    """Sends what is printed to nowhere: Python would complain of it once more at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
