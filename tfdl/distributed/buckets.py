"""Sums many tensors over the ranks in few collectives."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfdl.distributed.world import World

# Large compared with a collective's fixed cost. Small enough that the first buckets of a large model are sent while its
# backward pass is still computing.
BUCKET_BYTES = 4 * 2**20


def sum_over_ranks(
    tensors: Sequence[Any], world: World, *, bucket_bytes: int = BUCKET_BYTES, wire_dtype: str | None = None
) -> list[Any]:
    """Sums each tensor over all ranks.

    Tensors of one dtype are joined into buckets of about ``bucket_bytes``, from the last tensor to the first: a
    backward pass computes the gradients of the last layers first, and each bucket is sent as soon as its tensors are
    ready. The contents of the buckets depend only on shapes, so runs are bit-identical.

    Args:
        tensors: dense tensors, the same ones in the same order on all ranks. A tensor whose shape is unknown while the
            graph is traced counts as empty, and is sent with its neighbours.
        world: the ranks.
        bucket_bytes: a bucket that has reached this size in bytes is sent.
        wire_dtype: ``float16`` or ``bfloat16`` sends float32 tensors in half the bytes, and rounds them.

    Returns:
        The sums, with the dtypes and in the order of the tensors.
    """
    if world.size == 1:
        return list(tensors)
    sums: list[Any] = [None] * len(tensors)
    for indices in _bucket_indices(tensors, bucket_bytes):
        bucket = [tensors[index] for index in indices]
        bucket_sums = _sum_bucket(bucket, world, wire_dtype)
        for index, bucket_sum in zip(indices, bucket_sums, strict=True):
            sums[index] = bucket_sum
    return sums


def _sum_bucket(tensors: list[Any], world: World, wire_dtype: str | None) -> list[Any]:
    """Sums tensors of one dtype in one collective."""
    dtype = tensors[0].dtype
    sent_dtype = dtype
    if wire_dtype and dtype == tf.float32:
        sent_dtype = tf.as_dtype(wire_dtype)
    flat = tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], 0)  # (all elements,)
    flat_sum = tf.cast(world.all_reduce(tf.cast(flat, sent_dtype)), dtype)
    parts = tf.split(flat_sum, [tf.size(tensor) for tensor in tensors])
    sums = []
    for tensor, part in zip(tensors, parts, strict=True):
        tensor_sum = tf.reshape(part, tf.shape(tensor))
        tensor_sum.set_shape(tensor.shape)  # the static shape, which is lost in the split
        sums.append(tensor_sum)
    return sums


def _bucket_indices(tensors: Sequence[Any], bucket_bytes: int) -> list[list[int]]:
    """The indices of the tensors in each bucket, last tensors first."""
    buckets: list[list[int]] = []
    open_buckets: dict[Any, list[int]] = {}  # dtype -> the bucket that is being filled
    filled_bytes: dict[Any, int] = {}  # dtype -> its size so far
    for index in reversed(range(len(tensors))):
        tensor = tensors[index]
        dtype = tensor.dtype
        if dtype not in open_buckets:
            open_buckets[dtype] = []
            filled_bytes[dtype] = 0
            buckets.append(open_buckets[dtype])
        open_buckets[dtype].append(index)
        num_elements = tensor.shape.num_elements() or 0
        filled_bytes[dtype] += num_elements * dtype.size
        if filled_bytes[dtype] >= bucket_bytes:
            del open_buckets[dtype]
    return buckets
