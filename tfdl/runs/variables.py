"""Variables in safetensors files, by their paths and in their order."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file

from tfdl.errors import RunError, UserError
from tfdl.runs.safetensors_file import Entry, dtype_name, write_entries

# The entry of a file's metadata with the names in the variables' order.
_ORDER = "order"
# How many names of variables an error lists.
_LISTED_NAMES = 3


def write_variables(path: Path, variables: Mapping[str, Any]) -> None:
    """Writes the values of variables.

    Args:
        path: the file.
        variables: name -> variable or array.
    """
    entries = []
    for name, variable in variables.items():
        dtype = dtype_name(tf.as_dtype(variable.dtype).name)
        entries.append(Entry(name, dtype, tuple(variable.shape), partial(np.asarray, variable)))
    write_entries(path, entries, {_ORDER: json.dumps(list(variables))})


def read_variables(path: Path, variables: Mapping[str, Any], *, by_order: bool = False) -> None:
    """Assigns the arrays of a file to variables.

    Args:
        path: the file.
        variables: name -> variable.
        by_order: whether variables may have other names than those in the file, as long as their order and shapes are
            the same: Keras numbers the names of a user's layers over the whole process.

    Raises:
        UserError: the file belongs to other variables.
        RunError: the file cannot be read.
    """
    arrays = _read(path)
    if by_order and arrays.keys() != variables.keys() and len(arrays) == len(variables):
        arrays = dict(zip(variables, _in_order(path, arrays), strict=True))
    missing = sorted(variables.keys() - arrays.keys())
    unexpected = sorted(arrays.keys() - variables.keys())
    if missing or unexpected:
        raise UserError(
            f"{path} belongs to another model or optimizer: missing: {_listed(missing)};"
            f" unexpected: {_listed(unexpected)}"
        )
    for name, variable in variables.items():
        _assign(path, name, variable, arrays[name])


def read_some_variables(path: Path, variables: Mapping[str, Any]) -> None:
    """Assigns some of the arrays of a file to variables. The others are not read.

    Args:
        path: the file.
        variables: name in the file -> variable.

    Raises:
        UserError: an array of another shape, or of a wider number format.
        RunError: the file cannot be read.
    """
    try:
        with safe_open(path, framework="np") as file:
            for name, variable in variables.items():
                _assign(path, name, variable, file.get_tensor(name))
    except SafetensorError as error:
        raise RunError(f"{path} cannot be read: {error}") from error


def shapes_of_variables(path: Path) -> dict[str, tuple[int, ...]]:
    """The names and shapes of the arrays of a file, in the order in which they were written.

    Args:
        path: the file.

    Raises:
        RunError: the file cannot be read.
    """
    try:
        with safe_open(path, framework="np") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            names = json.loads((file.metadata() or {}).get(_ORDER, "[]"))
    except SafetensorError as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    return {name: shapes[name] for name in names} if sorted(names) == sorted(shapes) else shapes


def _assign(path: Path, name: str, variable: Any, array: np.ndarray) -> None:
    if tuple(array.shape) != tuple(variable.shape):
        raise UserError(f"{path} holds {name} of shape {tuple(array.shape)}, expected {tuple(variable.shape)}")
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


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise RunError(f"{path} cannot be read: {error}") from error


def _in_order(path: Path, arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The arrays in the order in which they were written."""
    with safe_open(path, framework="np") as file:
        metadata = file.metadata() or {}
    names = json.loads(metadata.get(_ORDER, "[]"))
    return [arrays[name] for name in names] if sorted(names) == sorted(arrays) else list(arrays.values())


def _listed(names: list[str]) -> str:
    return str(names[:_LISTED_NAMES]) if names else "nothing"
