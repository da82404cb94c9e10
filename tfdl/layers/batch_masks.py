"""Masks of batch normalization, for any channel axis."""

from typing import Any

import tensorflow as tf


def mask_as_rows(mask: Any, inputs: Any, axis: int) -> Any:
    """The mask with a row for each of the ``m`` positions that the statistics are taken over.

    Args:
        mask: booleans or numbers, of at most as many axes as ``inputs``. It is repeated along the axes that it lacks,
            which are the last ones, and along axes of size 1.
        inputs: of known rank, with a known number of channels.
        axis: the channel axis.

    Returns:
        Booleans, ``(m, 1)`` if the mask is the same for all channels, otherwise ``(m, channels)``.
    """
    mask = tf.cast(mask, tf.bool)
    rank = inputs.shape.rank
    new_axes = [1] * (rank - mask.shape.rank)
    static_shape = [*mask.shape, *new_axes]
    mask = tf.reshape(mask, tf.concat([tf.shape(mask), new_axes], 0))
    shape = tf.shape(inputs)
    columns = inputs.shape[axis]
    if static_shape[axis] == 1:
        columns = 1
        shape = tf.tensor_scatter_nd_update(shape, [[axis % rank]], [1])
    rows = swap_with_last(tf.broadcast_to(mask, shape), axis)
    return tf.reshape(rows, [-1, columns])


def swap_with_last(tensor: Any, axis: int) -> Any:
    """Swaps an axis and the last one.

    Args:
        tensor: of known rank.
        axis: the axis.
    """
    order = list(range(tensor.shape.rank))
    order[axis], order[-1] = order[-1], order[axis]
    return tf.transpose(tensor, order) if order != sorted(order) else tensor
