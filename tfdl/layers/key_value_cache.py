"""Keys and values of the tokens so far, in tensors whose shapes never change."""

from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework import ops
from tensorflow.python.ops import control_flow_util

Cache = tuple[Any, Any]
"""Keys and values of one layer, each ``(B, H_kv, S, d)``: ``S`` places for tokens, the batch first."""


def empty_cache(batch_size: Any, num_heads: int, length: int, dim: int, dtype: Any) -> Cache:
    """A cache of no token yet."""
    zeros = tf.zeros([batch_size, num_heads, length, dim], dtype)
    return zeros, zeros


def write_cache(cache: Cache, key: Any, value: Any, place: Any) -> Cache:
    """The cache with new tokens at consecutive places.

    Nothing is copied where nobody else needs the old cache, as in the body of a loop.

    Args:
        cache: keys and values, each ``(B, H_kv, S, d)``.
        key, value: of the new tokens, ``(B, H_kv, T, d)``.
        place: of the first of them, a scalar from 0 to ``S - T``. A single token at any other place is lost.

    Returns:
        Keys and values, of the shapes of ``cache``.
    """
    keys, values = cache
    return _write(keys, key, place), _write(values, value, place)


def _write(old: Any, new: Any, place: Any) -> Any:
    # XLA knows no slice update at a place that is computed, except its own op; and outside of XLA that op would be
    # compiled for itself. `tensor_scatter_nd_update` works in both, but copies the whole cache on a CPU.
    if control_flow_util.GraphOrParentsInXlaContext(ops.get_default_graph()):
        return keras.ops.slice_update(old, [0, 0, place, 0], new)
    written = tf.raw_ops.TensorStridedSliceUpdate(
        input=old,
        value=new,
        begin=tf.stack([0, 0, place]),
        end=tf.stack([0, 0, place + tf.shape(new)[2]]),
        strides=[1, 1, 1],
        begin_mask=0b011,  # of the first two axes everything
        end_mask=0b011,
    )
    return tf.ensure_shape(written, old.shape)
