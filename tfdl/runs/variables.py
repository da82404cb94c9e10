"""Variables in safetensors files, by their paths and in their order."""

import json
import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.errors import UserError
from tfdl.runs.safetensors_file import Entry, dtype_name, write_entries
from tfdl.runs.stored_tensors import ORDER, open_tensors

# How many names of variables an error lists.
_LISTED_NAMES = 3


def write_variables(path: Path, variables: Mapping[str, Any], order: Sequence[str] | None = None) -> None:
    """Writes the values of variables.

    Args:
        path: the file.
        variables: name -> variable or array.
        order: the names of all variables, of which a shard holds only some.
    """
    entries = []
    for name, variable in variables.items():
        dtype = dtype_name(tf.as_dtype(variable.dtype).name)
        entries.append(Entry(name, dtype, tuple(variable.shape), partial(np.asarray, variable)))
    write_entries(path, entries, {ORDER: json.dumps(list(order or variables))})


def read_variables(path: Path, variables: Mapping[str, Any], *, by_order: bool = False) -> None:
    """Assigns the arrays of a file to variables.

    Args:
        path: the file, which may have been written as shards.
        variables: name -> variable.
        by_order: whether variables may have other names than those in the file, as long as their order and shapes are
            the same: Keras numbers the names of a user's layers over the whole process.

    Raises:
        UserError: the file belongs to other variables.
        RunError: the file cannot be read.
    """
    shapes = shapes_of_variables(path)
    stored = {name: name for name in variables}
    if by_order and shapes.keys() != variables.keys() and len(shapes) == len(variables):
        stored = dict(zip(variables, shapes, strict=True))
    missing = sorted(set(stored.values()) - shapes.keys())
    unexpected = sorted(shapes.keys() - set(stored.values()))
    if missing or unexpected:
        raise UserError(
            f"{path} belongs to another model or optimizer: missing: {_listed(missing)};"
            f" unexpected: {_listed(unexpected)}"
        )
    # Before any value is read: the file may be of a much larger model.
    for name, variable in variables.items():
        _check_shape(path, name, variable, shapes[stored[name]])
    read_some_variables(path, {stored[name]: variable for name, variable in variables.items()})


def read_some_variables(path: Path, variables: Mapping[str, Any]) -> None:
    """Assigns some of the arrays of a file to variables. The others are not read.

    Args:
        path: the file.
        variables: name in the file -> variable.

    Raises:
        UserError: an array of another shape, or of a wider number format.
        RunError: the file cannot be read.
    """
    with open_tensors(path) as tensors:
        for name, variable in variables.items():
            _assign(path, name, variable, tensors.read(name))


def shapes_of_variables(path: Path) -> dict[str, tuple[int, ...]]:
    """The names and shapes of the arrays of a file, in the order in which they were written.

    Args:
        path: the file.

    Raises:
        RunError: the file cannot be read.
    """
    with open_tensors(path) as tensors:
        return {name: tensors.shape(name) for name in tensors.names}


def _check_shape(path: Path, name: str, variable: Any, shape: tuple[int, ...]) -> None:
    if tuple(shape) != tuple(variable.shape):
        raise UserError(f"{path} holds {name} of shape {tuple(shape)}, expected {tuple(variable.shape)}")


def _assign(path: Path, name: str, variable: Any, array: np.ndarray) -> None:
    _check_shape(path, name, variable, array.shape)
    dtype = tf.as_dtype(variable.dtype).as_numpy_dtype
    if not np.can_cast(array.dtype, dtype):
        raise UserError(f"{path} holds {name} in {array.dtype}, expected {variable.dtype}: values would be rounded")
    variable.assign(array)


def by_path(variables: Sequence[Any]) -> dict[str, Any]:
    """Variables by their paths, in their order.

    Two submodels may have layers of the same name. From the second on, variables of one path are numbered:
    ``dense/kernel``, ``dense/kernel#2``.
    """
    counts: dict[str, int] = {}
    named = {}
    for variable in variables:
        path = variable.path
        counts[path] = counts.get(path, 0) + 1
        name = path if counts[path] == 1 else f"{path}#{counts[path]}"
        named[name] = variable
    return named


def num_bytes(variable: Any) -> int:
    """The bytes of a variable's or an array's value."""
    return math.prod(variable.shape) * tf.as_dtype(variable.dtype).size


def _listed(names: list[str]) -> str:
    return str(names[:_LISTED_NAMES]) if names else "nothing"
