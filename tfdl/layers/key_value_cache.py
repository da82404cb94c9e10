"""A cache of the keys and values of past tokens, in tensors of fixed shapes."""

from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework import ops
from tensorflow.python.ops import control_flow_util

Cache = tuple[Any, Any]
"""Keys and values of one layer, ``(batch, kv_heads, max_length, head_dim)`` each, with a slot for each token."""


def empty_cache(batch_size: Any, num_heads: int, max_length: int, head_dim: int, dtype: Any) -> Cache:
    """Returns a cache without any token.

    Args:
        batch_size: sequences to decode.
        num_heads: heads of keys and values.
        max_length: slots for tokens.
        head_dim: width of a head.
        dtype: of keys and values.

    Returns:
        Keys and values, ``(batch, kv_heads, max_length, head_dim)`` each.
    """
    zeros = tf.zeros([batch_size, num_heads, max_length, head_dim], dtype)  # (batch, kv_heads, max_length, head_dim)
    return zeros, zeros


def write_cache(cache: Cache, key: Any, value: Any, cache_index: Any) -> Cache:
    """Returns the cache with new tokens in consecutive slots.

    Nothing is copied where no other operation reads the old cache, as in the body of a loop.

    Args:
        cache: keys and values, ``(batch, kv_heads, max_length, head_dim)`` each.
        key, value: keys and values of the new tokens, ``(batch, kv_heads, time, head_dim)``.
        cache_index: slot of the first new token, a scalar from 0 to ``max_length - time``. A single token with any
            other index is lost.

    Returns:
        Keys and values, of the shapes of ``cache``.
    """
    keys, values = cache
    return _write(keys, key, cache_index), _write(values, value, cache_index)


def _write(old: Any, new: Any, cache_index: Any) -> Any:
    # XLA supports a slice update at a computed index only by its own op, and outside of XLA that op would be compiled
    # separately. `tensor_scatter_nd_update` works in both, but copies the whole cache on a CPU.
    if control_flow_util.GraphOrParentsInXlaContext(ops.get_default_graph()):
        return keras.ops.slice_update(old, [0, 0, cache_index, 0], new)
    updated = tf.raw_ops.TensorStridedSliceUpdate(
        input=old,
        value=new,
        begin=tf.stack([0, 0, cache_index]),
        end=tf.stack([0, 0, cache_index + tf.shape(new)[2]]),
        strides=[1, 1, 1],
        begin_mask=0b011,  # bits of the first two axes, which are taken whole
        end_mask=0b011,
    )
    return tf.ensure_shape(updated, old.shape)
