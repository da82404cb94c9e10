"""Many tensors over the ranks in few collectives."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfdl.distributed.world import World

# Large enough that a collective's fixed cost is small beside it, small enough that the backward pass of a large model
# goes on while the first of them travels.
BUCKET_BYTES = 4 * 2**20


def sum_over_ranks(
    tensors: Sequence[Any], world: World, *, bucket_bytes: int = BUCKET_BYTES, wire_dtype: str | None = None
) -> list[Any]:
    """The sum of each tensor over all ranks.

    Tensors of one dtype are joined into buffers of about ``bucket_bytes``, from the last tensor to the first: a
    backward pass makes the gradients of the last layers first, and each buffer leaves as soon as its own tensors are
    there. What is in which buffer depends on shapes alone, so a run repeats to the bit.

    Args:
        tensors: dense tensors, the same ones in the same order on every rank. Those whose shape a graph does not know
            before it runs fill no buffer: they travel with their neighbours.
        world: the ranks.
        bucket_bytes: a buffer that has come to so much is full, and leaves.
        wire_dtype: ``float16`` or ``bfloat16`` halves what float32 tensors send and receive, and rounds them so.

    Returns:
        Tensors of the given dtypes, in the given order.
    """
    if world.size == 1:
        return list(tensors)
    sums: list[Any] = [None] * len(tensors)
    for places in _buckets(tensors, bucket_bytes):
        dtype = tensors[places[0]].dtype
        buffer = tf.concat([tf.reshape(tensors[place], [-1]) for place in places], 0)
        wire = tf.as_dtype(wire_dtype) if wire_dtype and dtype == tf.float32 else dtype
        buffer = tf.cast(world.all_reduce(tf.cast(buffer, wire)), dtype)
        parts = tf.split(buffer, [tf.size(tensors[place]) for place in places])
        for place, part in zip(places, parts, strict=True):
            sums[place] = tf.reshape(part, tf.shape(tensors[place]))
            sums[place].set_shape(tensors[place].shape)
    return sums


def _buckets(tensors: Sequence[Any], bucket_bytes: int) -> list[list[int]]:
    """Places of the tensors in each buffer, last tensors first."""
    buckets: list[list[int]] = []
    open_bucket: dict[Any, tuple[list[int], int]] = {}  # dtype -> its places and bytes so far
    for place in reversed(range(len(tensors))):
        tensor = tensors[place]
        size = (tensor.shape.num_elements() or 0) * tensor.dtype.size
        places, filled = open_bucket.get(tensor.dtype, ([], 0))
        if not places:
            buckets.append(places)
        places.append(place)
        filled += size
        open_bucket[tensor.dtype] = (places, filled) if filled < bucket_bytes else ([], 0)
    return buckets
