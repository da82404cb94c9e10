"""Keeps TensorFlow from removing a collective from a graph.

Horovod declares its operations as free of side effects. So TensorFlow runs a collective of a constant once, while it
optimizes the graph, and removes a collective whose result is not used. If that happens on some ranks only (rank 0
prints the result), the others wait forever.
"""

from functools import cache
from typing import Any

import tensorflow as tf


def unknown(tensor: Any) -> Any:
    """Returns an integer or boolean tensor whose value TensorFlow does not know when it optimizes a graph."""
    tensor = tf.convert_to_tensor(tensor)
    if tensor.dtype == tf.bool:
        return tf.logical_or(tensor, _zero() > 0)
    return tensor + tf.cast(_zero(), tensor.dtype)


def not_constant(tensor: Any) -> Any:
    """Returns a tensor of any dtype that TensorFlow does not compute when it optimizes a graph. It is not copied."""
    hidden = tf.reshape(_hidden(tensor), tf.shape(tensor))
    return tf.ensure_shape(hidden, tensor.shape)


def one_after(tensors: list[Any]) -> Any:
    """Returns an int64 scalar 1, for which TensorFlow needs the tensors, although it reads none of their values."""
    one = tf.constant(1, tf.int64)
    for tensor in tensors:
        one += tf.minimum(tf.size(_hidden(tensor), tf.int64), 0)
    return one


def _hidden(tensor: Any) -> Any:
    """The tensor with one more axis, as a slice that is the whole tensor: of a size that TensorFlow does not know.

    TensorFlow's kernel returns such a slice without a copy. A reshape would not do: TensorFlow infers one unknown
    dimension from the number of values, and then removes the reshape.
    """
    expanded = tensor[tf.newaxis]
    axes = [tf.rank(expanded)]
    return tf.slice(expanded, tf.fill(axes, _zero()), tf.fill(axes, -1))


def _zero() -> Any:
    """The value 0 of a variable, which TensorFlow takes for a value that may change."""
    return _zero_variable().read_value()


@cache
def _zero_variable() -> tf.Variable:
    with tf.init_scope(), tf.device("CPU:0"):
        return tf.Variable(0, trainable=False, name="zero")
