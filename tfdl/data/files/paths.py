"""Names of data sets that are paths of the user's own files."""

import os
from collections.abc import Collection
from pathlib import Path

from tfdl.config import DatasetConfig
from tfdl.data.files.readers import READERS
from tfdl.data.files.unread_kinds import refuse_unread_kind
from tfdl.data.tfds.catalog import is_known
from tfdl.errors import UserError

TEXT_OPTIONS = ("encoding", "delimiter")
"""Fields that say how files of texts are read."""
FILE_OPTIONS = (*TEXT_OPTIONS, "stratified", "exact_labels")
"""Fields that have a meaning for the user's own files alone."""
_ENDS_OF_PATHS = ("/", ".txt", *READERS)


def is_local(name: str) -> bool:
    """Whether a data set's name is the path of files; all other names are looked up in the catalogue.

    A name is a path if it has the form of one: it begins with ``/``, ``./``, ``../`` or ``~``, or it ends with ``/``,
    ``.txt`` or the ending of a table. A name that contains a slash or another ending is a path if it exists. So is any
    other name that exists, unless it is that of a data set. Two parallel files are separated by a comma.
    """
    if name.startswith(("/", "./", "../", "~")) or name in (".", "..") or name.lower().endswith(_ENDS_OF_PATHS):
        return True
    # os.path.exists, since Path.exists raises an error for a name that is too long for a file.
    for path in (name, *name.split(",")):
        has_form_of_path = "/" in path or Path(path).suffix != ""
        if has_form_of_path and os.path.exists(path):
            return True
    return os.path.exists(name) and not is_known(name)


def hidden_files_note(name: str) -> tuple[str, ...]:
    """A line about a file or folder of the same name as a data set, which is not read; otherwise none.

    Args:
        name: of a data set that is no path.
    """
    if os.path.exists(name):
        return (f"{name} is the data set of that name; for the files here, give --dataset ./{name}",)
    return ()


def existing(path: str) -> Path:
    """The path, with ``~`` expanded.

    Raises:
        UserError: no such file or folder, or a file of a kind that is not read.
    """
    expanded = Path(path).expanduser()
    if not os.path.exists(expanded):
        raise UserError(f"dataset {path!r}: no such file or folder; expected a path, or the name of a data set")
    refuse_unread_kind(expanded)
    return expanded


def refuse_options(config: DatasetConfig, fields: Collection[str], reason: str) -> None:
    """Refuses options for the user's files where they have no meaning.

    Args:
        config: the data set.
        fields: the fields of its configuration that must have their defaults, such as ``TEXT_OPTIONS``.
        reason: why they have no meaning, such as ``is a folder of images``.

    Raises:
        UserError: one of them is set.
    """
    for field in fields:
        if getattr(config, field) != getattr(DatasetConfig, field):
            raise UserError(f"dataset.{field} has no meaning for {config.name!r}, which {reason}; leave it out")


def refuse_columns(config: DatasetConfig, reason: str) -> None:
    """Refuses columns that were chosen for a description that has none to choose.

    Args:
        config: the data set.
        reason: why they have no meaning, such as ``is a folder of images``.

    Raises:
        UserError: a column is chosen.
    """
    for role in config.columns:
        raise UserError(f"--{role}-column has no meaning for {config.name!r}, which {reason}; leave it out")
