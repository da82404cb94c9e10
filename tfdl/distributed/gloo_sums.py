"""Sums over ranks that Gloo computes slowly or Horovod does not support, built from other collectives."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

# Above two ranks, the most bytes that all ranks' tensors may have together to be gathered. Below it the time of a
# message hardly depends on its size.
_MAX_GATHERED_BYTES = 2**16

Collective = Callable[[Any], Any]


def is_faster_gathered(tensor: Any, world_size: int) -> bool:
    """Whether gathering all tensors and adding them locally is faster than Gloo's all-reduce.

    Gloo's all-reduce passes the ring twice, in four pieces or more, and each piece waits to be scheduled. Gathering
    passes the ring once, in one piece. Between two ranks it sends as many bytes; between more ranks it sends more.

    Args:
        tensor: this rank's tensor.
        world_size: the number of ranks.
    """
    if world_size == 2:
        return True
    num_elements = tensor.shape.num_elements()
    if num_elements is None:
        return False
    return num_elements * tensor.dtype.size * world_size <= _MAX_GATHERED_BYTES


def sum_gathered(tensor: Any, world_size: int, all_gather: Collective, divisor: int = 1) -> Any:
    """Adds all ranks' tensors in the order of the ranks, so that all ranks get bit-identical sums.

    Args:
        tensor: this rank's tensor, of any shape.
        world_size: the number of ranks.
        all_gather: joins the ranks' tensors along axis 0.
        divisor: the sum is divided by this number, before it is rounded to 16 bits.

    Returns:
        The divided sum, of the tensor's shape and dtype. Sums of 16-bit floats are computed in float32.
    """
    is_16_bit = tensor.dtype in (tf.float16, tf.bfloat16)
    # Horovod does not support bfloat16, so 16-bit floats are sent as integers.
    sent = tf.bitcast(tensor, tf.uint16) if is_16_bit else tensor
    gathered = all_gather(sent[tf.newaxis])  # (ranks, *shape)
    rank_tensors = tf.unstack(gathered, num=world_size)
    if is_16_bit:
        rank_tensors = [tf.cast(tf.bitcast(bits, tensor.dtype), tf.float32) for bits in rank_tensors]
    total = tf.add_n(rank_tensors)
    if divisor > 1:
        total /= divisor
    return tf.ensure_shape(tf.cast(total, tensor.dtype), tensor.shape)


def sum_16_bit(tensor: Any, world_size: int, all_to_all: Collective, all_gather: Collective, divisor: int = 1) -> Any:
    """Adds 16-bit floats over many ranks.

    Horovod does not support bfloat16, and Gloo adds float16 one element at a time in software. Here the bits are sent,
    as many as in a ring: each rank receives one part of all ranks' tensors, adds it in float32, and sends the rounded
    sum to all ranks.

    Args:
        tensor: this rank's tensor, float16 or bfloat16, of any shape.
        world_size: the number of ranks.
        all_to_all: sends the i-th of equal parts along axis 0 to rank i, and joins what was received.
        all_gather: joins the ranks' tensors along axis 0.
        divisor: the sum is divided by this number, before it is rounded to 16 bits.

    Returns:
        The divided sum, of the tensor's shape and dtype.
    """
    dtype = tensor.dtype
    size = tf.size(tensor)
    part_size = -(-size // world_size)  # rounded up
    flat = tf.reshape(tensor, [-1])  # (size,)
    padded = tf.pad(flat, [[0, part_size * world_size - size]])  # (ranks * part_size,)
    received = all_to_all(tf.bitcast(padded, tf.uint16))  # (ranks * part_size,)
    rank_parts = tf.bitcast(tf.reshape(received, [world_size, part_size]), dtype)  # (ranks, part_size)
    part_sum = tf.cast(tf.reduce_sum(tf.cast(rank_parts, tf.float32), axis=0) / divisor, dtype)  # (part_size,)
    total = tf.bitcast(all_gather(tf.bitcast(part_sum, tf.uint16)), dtype)  # (ranks * part_size,)
    return tf.ensure_shape(tf.reshape(total[:size], tf.shape(tensor)), tensor.shape)
