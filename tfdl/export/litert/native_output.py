"""Hides what C++ code writes to the terminal."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hidden_native_output() -> Iterator[None]:
    """Discards what is written to file descriptor 2 within the block.

    TensorFlow's converter and LiteRT report there what they do. An error that they raise has its reason in itself.
    """
    sys.stderr.flush()
    original = os.dup(2)
    try:
        with tempfile.TemporaryFile() as discarded:
            os.dup2(discarded.fileno(), 2)
            yield
    finally:
        sys.stderr.flush()
        os.dup2(original, 2)
        os.close(original)
