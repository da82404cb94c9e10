"""Keeps TensorFlow from removing a collective from a graph.

Horovod declares its operations as free of side effects. So TensorFlow runs a collective of a constant once, while it
optimizes the graph, and removes a collective whose result is not used. If that happens on some ranks only (rank 0
prints the result), the others wait forever.
"""

from functools import cache
from typing import Any

import tensorflow as tf


def prepare() -> None:
    """Makes the variable that hides values. A ``tf.function`` whose first trace made it would be traced twice."""
    _zeros()


def unknown(value: int | bool) -> Any:
    """Returns a number or a truth value as a scalar that TensorFlow does not know when it optimizes a graph."""
    number = _zeros().read_value()[0] + int(value)
    return number > 0 if isinstance(value, bool) else number


def not_constant(tensor: Any) -> Any:
    """Returns a tensor of any dtype that TensorFlow does not compute when it optimizes a graph. It is not copied."""
    shape = tf.shape(tensor)
    hidden = tf.raw_ops.Reshape(tensor=_hidden(tensor), shape=shape)
    hidden.set_shape(tensor.shape)
    return hidden


def one_after(tensors: list[Any]) -> Any:
    """Returns an int64 scalar 1, for which TensorFlow needs the tensors, although it reads none of their values."""
    one = tf.constant(1, tf.int64)
    total = one
    for tensor in tensors:
        size = tf.raw_ops.Size(input=_hidden(tensor), out_type=tf.int64)
        # TensorFlow does not see that this is 1.
        total = tf.raw_ops.ClipByValue(t=size, clip_value_min=total, clip_value_max=one)
    return total


def _hidden(tensor: Any) -> Any:
    """The values of a tensor in one dimension, as a slice that contains all of them, which TensorFlow does not know.

    TensorFlow's kernel returns such a slice without a copy. A reshape alone would not do: TensorFlow infers one unknown
    dimension from the number of values, and then removes the reshape.
    """
    flat = tf.raw_ops.Reshape(tensor=tensor, shape=[-1])
    return tf.raw_ops.Slice(input=flat, begin=_zeros().read_value(), size=[-1])


@cache
def _zeros() -> tf.Variable:
    """A variable with the value [0], which TensorFlow takes for a value that may change."""
    with tf.init_scope(), tf.device("CPU:0"):
        return tf.Variable([0], trainable=False, name="zero")
