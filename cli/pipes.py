"""Output that another program reads, which may have read enough before the end."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """A block that prints. It ends early, without an error, when a program such as ``head`` has read enough."""
    try:
        yield
    except BrokenPipeError:
        # Python would complain of it once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
