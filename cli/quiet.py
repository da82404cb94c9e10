"""Imports TensorFlow and Keras without their notices on the terminal, and faster. Real errors are still printed."""

import gc
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from tfdl.errors import UserError
from tfdl.garbage_collection import garbage_collection_off

# Keras imports these, where they are installed, for its wrappers, plots, tables and notebooks, which no command uses.
# They take a third of the start.
_UNUSED_BY_COMMANDS = ("sklearn", "matplotlib", "pandas", "IPython")


def quick_start() -> None:
    """:func:`quiet_start` in half the time, for a process that only tfdl uses.

    While Keras is imported, it cannot find scikit-learn, matplotlib, pandas and IPython, unless a plugin has already
    imported them. Code that needs them can import them afterwards. The imported objects are then exempt from garbage
    collection: they stay until the process ends.
    """
    is_first_import = "keras" not in sys.modules
    with _hidden(*_UNUSED_BY_COMMANDS):
        quiet_start()
    # Only right after the import: later there is garbage as well, and freezing it would keep it forever.
    if is_first_import:
        gc.freeze()


def quiet_start() -> None:
    """Imports TensorFlow and Keras without their notices about this machine.

    TensorFlow's C++ code writes to file descriptor 2 before it reads a log level. So the descriptor is redirected to a
    file while they are imported, and the file is printed only when the import fails.

    Raises:
        UserError: ``KERAS_BACKEND`` names another backend than TensorFlow.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        raise UserError(f"KERAS_BACKEND={backend}, expected tensorflow; unset KERAS_BACKEND")
    # Imports make many objects and no garbage: collecting takes a fifth of their time.
    with held_back_stderr(), garbage_collection_off():
        import keras  # noqa: F401
        import tensorflow as tf

        tf.config.list_physical_devices()  # starts the devices, which prints notices too
    logging.getLogger("absl").setLevel(logging.ERROR)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=DeprecationWarning)


@contextmanager
def _hidden(*packages: str) -> Iterator[None]:
    """Makes imports of these packages fail, except of packages that are already imported."""
    hidden = [package for package in packages if package not in sys.modules]
    for package in hidden:
        # With None in sys.modules, Python raises ModuleNotFoundError for the package.
        sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for package in hidden:
            del sys.modules[package]


@contextmanager
def held_back_stderr() -> Iterator[None]:
    """Discards what is written to file descriptor 2, by C++ code too; prints it when the block raises an error."""
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except Exception:  # not when the user or a signal ends the command: then there is nothing to explain
            os.dup2(original, 2)
            captured.seek(0)
            sys.stderr.write(captured.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)
