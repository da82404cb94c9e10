"""Checks of the arguments of collectives. They are the same on one rank, so a script fails before it gets to several.

A wrong argument raises before anything is sent. Horovod would report some of them late, and ends the process for a
scalar in ``all_to_all``.
"""

import operator
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from tfdl.errors import UserError

Reduction = Literal["sum", "average", "min", "max", "product"]
REDUCTIONS = ("sum", "average", "min", "max", "product")
SCATTERED_REDUCTIONS = ("sum", "average")

_FLOATS = (tf.float16, tf.bfloat16, tf.float32, tf.float64)
_INTEGERS = (tf.int8, tf.uint8, tf.int16, tf.uint16, tf.int32, tf.uint32, tf.int64)
_OTHERS = (tf.bool, tf.uint64, tf.complex64, tf.complex128)


def check_reduction(collective: str, tensor: Any, op: str, known: tuple[str, ...] = REDUCTIONS) -> None:
    """Checks what is reduced, and how.

    Args:
        collective: the name of the collective, for the error message.
        tensor: this rank's argument.
        op: how the ranks' tensors become one.
        known: the values of ``op`` that the collective has.

    Raises:
        UserError: an unknown ``op``, a dtype without sums (bool, complex numbers, strings), or an average of integers.
    """
    if op not in known:
        raise UserError(f"{collective} got op={op!r}, expected one of {', '.join(known)}")
    dtype = _dtype_of(tensor)
    if dtype not in (*_FLOATS, *_INTEGERS):
        raise UserError(
            f"{collective} of {dtype.name}, expected integers of up to 32 bits, int64 or floating-point numbers; cast"
            " the tensor first, or use all_gather"
        )
    if op == "average" and dtype not in _FLOATS:
        raise UserError(
            f"{collective} got op='average' of {dtype.name}, which cannot hold a mean; cast the tensor to float32, or"
            " use op='sum'"
        )


def check_movable(collective: str, tensor: Any) -> None:
    """Checks the dtype of a tensor that is moved and not computed with.

    Args:
        collective: the name of the collective, for the error message.
        tensor: this rank's argument.

    Raises:
        UserError: a dtype that cannot be sent, such as strings.
    """
    dtype = _dtype_of(tensor)
    if dtype not in (*_FLOATS, *_INTEGERS, *_OTHERS):
        raise UserError(
            f"{collective} of {dtype.name}, expected numbers or booleans; all_gather_object and broadcast_object send"
            " any Python object"
        )


def check_rows(collective: str, tensor: Any) -> None:
    """Checks that a tensor has an axis along which the ranks' tensors are joined or divided.

    Args:
        collective: the name of the collective, for the error message.
        tensor: this rank's argument.

    Raises:
        UserError: the tensor is a scalar.
    """
    if tf.TensorShape(np.shape(tensor) if not hasattr(tensor, "shape") else tensor.shape).rank == 0:
        raise UserError(f"{collective} of a scalar, expected at least one axis; pass tf.reshape(scalar, [1])")


def check_root(root: int, size: int) -> int:
    """Checks the rank that sends.

    Args:
        root: the argument.
        size: the number of ranks.

    Returns:
        The rank as an ``int``.

    Raises:
        UserError: there is no such rank.
    """
    try:
        rank = operator.index(root)
    except TypeError:
        rank = -1
    if not 0 <= rank < size:
        ranks = "0, the only rank" if size == 1 else f"a rank from 0 to {size - 1}"
        raise UserError(f"root={root!r}, expected {ranks}")
    return rank


def check_splits(tensor: Any, splits: Any, size: int) -> Any:
    """Checks how many rows ``all_to_all`` sends to each rank, as far as the values are known.

    Args:
        tensor: this rank's argument.
        splits: the number of rows for each rank; ``None`` for equally many.
        size: the number of ranks.

    Returns:
        The numbers of rows, int32, ``(ranks,)``.

    Raises:
        UserError: a number is missing or negative, or they do not add up to the tensor's rows.
    """
    rows = tensor.shape[0]
    if splits is None:
        if rows is not None and rows % size:
            raise UserError(
                f"all_to_all of {rows} rows over {size} ranks, expected a multiple of {size}; pass splits= for another"
                " number of rows for each rank"
            )
        return tf.fill([size], tf.shape(tensor)[0] // size)
    splits = tf.convert_to_tensor(splits)
    if not splits.dtype.is_integer or not splits.shape.is_compatible_with([size]):
        raise UserError(
            f"all_to_all got splits of shape {splits.shape} and dtype {splits.dtype.name}, expected {size} integers,"
            " one for each rank"
        )
    values = tf.get_static_value(splits)
    if values is not None and ((values < 0).any() or (rows is not None and values.sum() != rows)):
        raise UserError(
            f"all_to_all got splits={values.tolist()} for {rows} rows, expected numbers from 0 that add up to the rows"
        )
    return tf.cast(splits, tf.int32)


def _dtype_of(tensor: Any) -> tf.DType:
    """The dtype of a tensor, a variable or a Python value, without making a tensor of it."""
    dtype = getattr(tensor, "dtype", None)
    return tf.as_dtype(np.asarray(tensor).dtype if dtype is None else dtype)
