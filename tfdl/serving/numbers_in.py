"""Numbers of JSON in the type of a tensor, without a change of their values."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.serving.errors import BAD_REQUEST, RequestError
from tfdl.serving.json_body import is_written_infinity, shown
from tfdl.serving.signature import TensorInfo


def numbers_of(leaves: Sequence[Any], info: TensorInfo, what: str) -> np.ndarray:
    """An array of one axis.

    Args:
        leaves: values that were read from JSON.
        info: the tensor.
        what: it is, for messages.

    Raises:
        RequestError: a value of another type, or out of its range.
    """
    dtype, allowed, expected = _number_type(info.dtype)
    if not allowed:
        raise RequestError(BAD_REQUEST, f"{what} is of type {info.dtype}, which JSON cannot express")
    if set(map(type, leaves)) - allowed:
        wrong = next(leaf for leaf in leaves if type(leaf) not in allowed)
        raise RequestError(BAD_REQUEST, f"{what} has the value {shown(wrong)}, expected {expected}")
    try:
        if dtype.is_floating:
            return _floats(leaves, dtype, what)
        return np.array(leaves, dtype.as_numpy_dtype)
    except OverflowError as error:
        wrong = next((leaf for leaf in leaves if dtype.is_integer and not dtype.min <= leaf <= dtype.max), None)
        found = "a number that is too large" if wrong is None else f"the value {shown(wrong)}"
        raise RequestError(BAD_REQUEST, f"{what} has {found}, expected {expected}") from error


@lru_cache
def _number_type(name: str) -> tuple[Any, frozenset[type], str]:
    """A type of TensorFlow, the types of JSON's values for it, and these in words."""
    dtype = tf.as_dtype(name)
    if dtype.is_bool:
        return dtype, frozenset({bool}), "true or false"
    if dtype.is_integer:
        return dtype, frozenset({int}), f"whole numbers from {dtype.min} to {dtype.max}"
    if dtype.is_floating:
        return dtype, frozenset({int, float}), "numbers"
    return dtype, frozenset(), ""


def _floats(leaves: Sequence[Any], dtype: Any, what: str) -> np.ndarray:
    values = np.array(leaves, np.float64)
    is_infinite = np.isinf(values)
    is_too_large = (np.abs(values) > float(dtype.max)) & ~is_infinite
    are_written = all(is_written_infinity(leaves[index]) for index in np.flatnonzero(is_infinite).tolist())
    if is_too_large.any() or not are_written:
        raise RequestError(BAD_REQUEST, f"{what} has a number that is too large for {dtype.name}")
    return values.astype(dtype.as_numpy_dtype, copy=False)
