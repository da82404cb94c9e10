"""Averages gradients over the ranks for an optimizer."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfdl.distributed.buckets import sum_over_ranks
from tfdl.distributed.world import World


def average_gradients(
    gradients: Sequence[Any], world: World, *, compression: str, sparse_as_dense: bool, bucket_bytes: int
) -> list[Any]:
    """Averages each gradient over all ranks.

    Args:
        gradients: tensors, ``tf.IndexedSlices`` (gradients of embeddings) or ``None``, in the same order on all ranks.
        world: the ranks.
        compression: ``none``, or the dtype in which float32 gradients are sent.
        sparse_as_dense: whether ``tf.IndexedSlices`` are averaged as dense tensors.
        bucket_bytes: the size of a bucket in bytes.

    Returns:
        The means, in the same order; ``None`` where the gradient is ``None``.
    """
    averaged: list[Any] = [None] * len(gradients)
    dense_indices = []
    for index, gradient in enumerate(gradients):
        if isinstance(gradient, tf.IndexedSlices) and not sparse_as_dense:
            averaged[index] = _average_rows(gradient, world)
        elif gradient is not None:
            dense_indices.append(index)
    dense = [tf.convert_to_tensor(gradients[index]) for index in dense_indices]
    means = _average_dense(dense, world, compression, bucket_bytes)
    for index, mean in zip(dense_indices, means, strict=True):
        averaged[index] = mean
    return averaged


def _average_dense(gradients: list[Any], world: World, compression: str, bucket_bytes: int) -> list[Any]:
    if compression == "none":
        return [total / world.size for total in sum_over_ranks(gradients, world, bucket_bytes=bucket_bytes)]
    # Divided before the sum, which might overflow in float16.
    shares = [gradient / world.size for gradient in gradients]
    return sum_over_ranks(shares, world, bucket_bytes=bucket_bytes, wire_dtype=compression)


def _average_rows(gradient: tf.IndexedSlices, world: World) -> tf.IndexedSlices:
    """The mean of a gradient of some rows of a table. Each row of any rank occurs once in the result.

    Rows that occur twice are added up here, because an optimizer that squares gradients must square the sum.
    """
    values = world.all_gather(gradient.values)  # (all ranks' rows, *row shape)
    indices = world.all_gather(gradient.indices)  # (all ranks' rows,)
    unique_rows, positions = tf.unique(indices)
    sums = tf.math.unsorted_segment_sum(values, positions, tf.size(unique_rows))  # (unique rows, *row shape)
    return tf.IndexedSlices(sums / world.size, unique_rows, gradient.dense_shape)
