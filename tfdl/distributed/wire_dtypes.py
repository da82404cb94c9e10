"""Dtypes that Horovod does not send, as those that it sends."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

# A tensor that is only moved is sent as these bits.
_BITS = {
    tf.bfloat16: tf.uint16,
    tf.uint32: tf.int32,
    tf.uint64: tf.int64,
    tf.complex64: tf.int64,
    tf.complex128: tf.int64,
}
# A tensor that is reduced is widened. Sums of integers wrap around as they do in the narrow dtype.
_WIDER_INTEGERS = {tf.int16: tf.int32, tf.uint16: tf.int32, tf.uint32: tf.int64}
_16_BIT_FLOATS = (tf.float16, tf.bfloat16)


def move(collective: Callable[[Any], Any], tensor: Any) -> Any:
    """Calls a collective that moves a tensor, in any dtype.

    Args:
        collective: a function of one tensor that does not look at the values.
        tensor: its argument.

    Returns:
        The collective's result, in the dtype of the tensor.
    """
    bits = _BITS.get(tensor.dtype)
    if bits is None:
        return collective(tensor)
    return tf.bitcast(collective(tf.bitcast(tensor, bits)), tensor.dtype)


def reduce(collective: Callable[[Any, str], Any], tensor: Any, op: str) -> Any:
    """Calls a collective that reduces a tensor.

    Args:
        collective: a function of a tensor and the kind of reduction. It adds and averages floats of 16 bits itself.
        tensor: its first argument.
        op: its second argument.

    Returns:
        The collective's result, in the dtype of the tensor.
    """
    wider = _WIDER_INTEGERS.get(tensor.dtype)
    if tensor.dtype in _16_BIT_FLOATS and op not in ("sum", "average"):
        wider = tf.float32
    if wider is None:
        return collective(tensor, op)
    return tf.cast(collective(tf.cast(tensor, wider), op), tensor.dtype)
