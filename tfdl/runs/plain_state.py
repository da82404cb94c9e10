"""Nested states of numbers, texts and arrays, as files that run no code when they are read."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from tfdl.errors import RunError, UserError
from tfdl.json_files import read_json_object

_ARRAY = "__array__"


def write_state(folder: Path, name: str, state: Any) -> list[str]:
    """Writes ``NAME.json``, and the arrays in it to ``NAME.safetensors``.

    Args:
        folder: where the files go.
        name: of the files, without ending.
        state: numbers, texts, NumPy arrays, and lists and mappings of these.

    Returns:
        The names of the two files.

    Raises:
        RunError: a value of another type.
    """
    arrays: dict[str, np.ndarray] = {}
    plain = _without_arrays(state, arrays)
    values = folder / f"{name}.json"
    values.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")
    of_arrays = folder / f"{name}.safetensors"
    of_arrays.write_bytes(save(arrays))
    return [values.name, of_arrays.name]


def copied_state(state: Any) -> Any:
    """A copy, which stays as it is when its owner changes the original.

    Args:
        state: as for ``write_state``.

    Raises:
        RunError: a value of another type.
    """
    arrays: dict[str, np.ndarray] = {}
    plain = _without_arrays(state, arrays)
    return _with_arrays(plain, {key: np.array(array) for key, array in arrays.items()})


def read_state(folder: Path, name: str) -> Any:
    """The inverse of ``write_state``; an empty mapping if the files are not there.

    Args:
        folder: where the files are.
        name: of the files, without ending.

    Raises:
        RunError: the files are damaged, or do not belong together.
    """
    path = folder / f"{name}.json"
    if not path.exists():
        return {}
    try:
        arrays = load_file(folder / f"{name}.safetensors")
        return _with_arrays(read_json_object(path, "use another checkpoint"), arrays)
    except UserError as error:
        raise RunError(str(error)) from error
    except (SafetensorError, OSError, KeyError, TypeError, RecursionError) as error:
        raise RunError(f"{path} and its arrays cannot be read ({error!r}); use another checkpoint") from error


def _without_arrays(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, dict):
        return {str(key): _without_arrays(item, arrays) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_arrays(item, arrays) for item in value]
    if isinstance(value, np.ndarray):
        key = str(len(arrays))
        arrays[key] = np.asarray(value, order="C")
        return {_ARRAY: key}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise RunError(
        f"a callback's get_state() has a {type(value).__name__}, expected numbers, texts, NumPy arrays, and lists and"
        " mappings of these"
    )


def _with_arrays(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, list):
        return [_with_arrays(item, arrays) for item in value]
    if isinstance(value, dict):
        if value.keys() == {_ARRAY}:
            return arrays[value[_ARRAY]]
        return {key: _with_arrays(item, arrays) for key, item in value.items()}
    return value
