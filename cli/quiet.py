"""Starts TensorFlow without its noise on the terminal, and quickly; real errors still get through."""

import gc
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from tfdl.errors import UserError

# What Keras imports for its wrappers and galleries, and no command asks Keras for: a third of the start.
_FOR_OTHERS = ("sklearn", "matplotlib")


def quick_start() -> None:
    """:func:`quiet_start` for a process that is tfdl's own: half the time.

    Keras finds scikit-learn and matplotlib absent while it is imported, and whoever needs them imports them afterwards.
    What was imported stays, so that the garbage collector need not look through it again.
    """
    is_first = "keras" not in sys.modules
    with _hidden(*_FOR_OTHERS):
        quiet_start()
    if is_first:  # later there is garbage as well, which would stay, too
        gc.freeze()


def quiet_start() -> None:
    """Imports TensorFlow and Keras without their notices about what this machine has and has not.

    The C++ side writes to file descriptor 2 before any log level is read, so the descriptor itself is held back, and
    given out only when the import fails.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if os.environ.setdefault("KERAS_BACKEND", "tensorflow") != "tensorflow":
        raise UserError(f"KERAS_BACKEND={os.environ['KERAS_BACKEND']}, expected tensorflow; unset KERAS_BACKEND")
    with held_back_stderr(), _no_collection():
        import keras  # noqa: F401
        import tensorflow as tf

        tf.config.list_physical_devices()
    logging.getLogger("absl").setLevel(logging.ERROR)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=DeprecationWarning)


@contextmanager
def _hidden(*packages: str) -> Iterator[None]:
    """Has imports of these packages fail, of those that nobody has imported yet."""
    hidden = [package for package in packages if package not in sys.modules]
    for package in hidden:
        sys.modules[package] = None  # type: ignore[assignment]  # Python's mark for a module that cannot be found
    try:
        yield
    finally:
        for package in hidden:
            del sys.modules[package]


@contextmanager
def _no_collection() -> Iterator[None]:
    """Imports make many objects and no garbage: the collector's searches are a fifth of their time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def held_back_stderr() -> Iterator[None]:
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(saved, 2)
            held.seek(0)
            sys.stderr.write(held.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
