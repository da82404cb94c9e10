"""Which classes a prepared data set names. TFDS imports the module of each, whatever it is."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfdl.errors import UserError
from tfdl.json_files import read_json_object

_FILE = "features.json"
_CLASS = "pythonClassName"
# Below the folder of a data set: its version, or a configuration and a version.
_PLACES = (f"*/{_FILE}", f"*/*/{_FILE}")
_OF_TFDS = "tensorflow_datasets.core.features."


def check_feature_files(folder: Path) -> None:
    """Refuses a prepared data set that names a class of a module which is not imported yet.

    Classes of TFDS, and those of a plugin that the user has imported, are known.

    Args:
        folder: of the data set, with its versions.

    Raises:
        UserError: another class, or a file that cannot be read.
    """
    if not os.path.isdir(folder):  # Path.is_dir raises an error for a name that is too long
        return
    for place in _PLACES:
        for path in sorted(folder.glob(place)):
            for name in _class_names(read_json_object(path, "prepare the data set again")):
                module = name.rpartition(".")[0]
                if not name.startswith(_OF_TFDS) and module not in sys.modules:
                    raise UserError(
                        f"{str(path)!r} names the class {name!r}, whose module would be imported, expected one of"
                        " TFDS; prepare the data set again, or import the module as a plugin (--plugin)"
                    )


def _class_names(values: Any) -> Iterator[str]:
    """The names of all classes; without recursion, since a file may be nested as it likes."""
    stack = [values]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            if _CLASS in value:
                yield str(value[_CLASS])
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
