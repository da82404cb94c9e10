"""Gradients of some rows of a table, ``tf.IndexedSlices``."""

from typing import Any

import tensorflow as tf


def with_different_rows(gradient: Any) -> Any:
    """Adds up the rows of ``tf.IndexedSlices`` that occur several times. Another gradient becomes a tensor."""
    if not isinstance(gradient, tf.IndexedSlices):
        return tf.convert_to_tensor(gradient)
    rows, positions = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, positions, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)


def values_of(gradient: Any) -> Any:
    """Returns the values of ``tf.IndexedSlices``, or the argument if it is a tensor."""
    return gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient


def replace_values(gradient: Any, values: Any) -> Any:
    """Returns a gradient of the same rows with other values.

    Args:
        gradient: a tensor or ``tf.IndexedSlices``.
        values: the new values.
    """
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)
    return values
