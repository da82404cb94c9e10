"""Attention by Keras's dense layers and operations, whatever kind of attention it is.

``keras.layers.MultiHeadAttention`` has neither rotary positions nor one kernel for queries, keys and values.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from tfdl.export.keras.counterparts import dense
from tfdl.export.keras.texts import position_angles, positions_of
from tfdl.layers import CrossAttention, RotaryEmbedding, SelfAttention
from tfdl.layers.rotary_rates import rotary_length

# As in tfdl's layers: so large that a hidden key gets a weight of exactly zero.
_HIDDEN_SCORE = -1e30


def self_attention(layer: SelfAttention, inputs: Any, padding_mask: Any, name: str) -> Any:
    """See ``tfdl.layers.SelfAttention``.

    Args:
        layer: of tfdl.
        inputs: ``(batch, time, dim)``.
        padding_mask: booleans ``(batch, time)``, or None.
        name: the beginning of the new layers' names.
    """
    query_width = layer.num_heads * layer._head_dim
    key_width = layer.num_key_value_heads * layer._head_dim
    projected = dense(layer.query_key_value, inputs, f"{name}_query_key_value")
    query, key, value = ops.split(projected, [query_width, query_width + key_width], axis=-1)
    query = _split_heads(query, layer.num_heads, f"{name}_query")
    key = _split_heads(key, layer.num_key_value_heads, f"{name}_key")
    value = _split_heads(value, layer.num_key_value_heads, f"{name}_value")
    if layer.rotary is not None:
        query = _rotated(layer.rotary, query, inputs)
        key = _rotated(layer.rotary, key, inputs)
    visible = _causal_mask(inputs, layer.sliding_window) if layer.is_causal else None
    attended = _attend(layer, query, key, value, _with_padding(visible, padding_mask), name)
    return dense(layer.output_projection, attended, f"{name}_output")


def cross_attention(layer: CrossAttention, inputs: Any, memory: Any, padding_mask: Any, name: str) -> Any:
    """See ``tfdl.layers.CrossAttention``.

    Args:
        layer: of tfdl.
        inputs: ``(batch, time, dim)``.
        memory: ``(batch, source, memory_dim)``.
        padding_mask: booleans ``(batch, source)``, or None.
        name: the beginning of the new layers' names.
    """
    query = _split_heads(dense(layer.query, inputs, f"{name}_query"), layer.num_heads, f"{name}_query")
    key, value = ops.split(dense(layer.key_value, memory, f"{name}_key_value"), 2, axis=-1)
    key = _split_heads(key, layer.num_key_value_heads, f"{name}_key")
    value = _split_heads(value, layer.num_key_value_heads, f"{name}_value")
    attended = _attend(layer, query, key, value, _with_padding(None, padding_mask), name)
    return dense(layer.output_projection, attended, f"{name}_output")


def _split_heads(inputs: Any, num_heads: int, name: str) -> Any:
    """(batch, time, heads * head_dim) to (batch, heads, time, head_dim)."""
    head_dim = inputs.shape[-1] // num_heads
    heads = keras.layers.Reshape((-1, num_heads, head_dim), name=f"{name}_heads")(inputs)
    return ops.transpose(heads, (0, 2, 1, 3))


def _attend(layer: SelfAttention | CrossAttention, query: Any, key: Any, value: Any, visible: Any, name: str) -> Any:
    """(batch, heads, time, head_dim) to (batch, time, heads * head_dim)."""
    _, num_heads, _, head_dim = query.shape
    group_size = num_heads // layer.num_key_value_heads
    if group_size > 1:
        key = ops.repeat(key, group_size, axis=1)
        value = ops.repeat(value, group_size, axis=1)
    scores = ops.matmul(query * head_dim**-0.5, ops.transpose(key, (0, 1, 3, 2)))  # (batch, heads, time, source)
    if visible is not None:
        scores = ops.where(visible, scores, _HIDDEN_SCORE)
    weights = ops.softmax(scores, axis=-1)  # (batch, heads, time, source)
    if visible is not None:
        # Softmax spreads the weight evenly over hidden keys where a query sees none.
        weights = ops.where(visible, weights, 0.0)
    if layer.dropout:
        weights = keras.layers.Dropout(layer.dropout, name=f"{name}_dropout")(weights)
    outputs = ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3))  # (batch, time, heads, head_dim)
    return keras.layers.Reshape((-1, num_heads * head_dim), name=f"{name}_merged_heads")(outputs)


def _causal_mask(inputs: Any, sliding_window: int | None) -> Any:
    """Which keys each query sees, (1, 1, time, time)."""
    positions = positions_of(inputs)  # (1, time)
    of_key = ops.expand_dims(positions, (1, 2))  # (1, 1, 1, time)
    of_query = ops.expand_dims(positions, (1, 3))  # (1, 1, time, 1)
    visible = ops.less_equal(of_key, of_query)
    if sliding_window is None:
        return visible
    return ops.logical_and(visible, ops.greater(of_key, of_query - sliding_window))


def _with_padding(visible: Any, padding_mask: Any) -> Any:
    """The mask, also for padding, (batch, 1, time or 1, source)."""
    if padding_mask is None:
        return visible
    is_real = ops.expand_dims(padding_mask, (1, 2))  # (batch, 1, 1, source)
    return is_real if visible is None else ops.logical_and(visible, is_real)


def _rotated(layer: RotaryEmbedding, heads: Any, inputs: Any) -> Any:
    """Heads (batch, heads, time, head_dim) of ``inputs`` (batch, time, dim), rotated by their positions."""
    angles = position_angles(inputs, np.asarray(layer._rates(heads.shape[-1])))  # (1, time, head_dim / 2)
    angles = ops.expand_dims(angles, 1)  # (1, 1, time, head_dim / 2)
    length = rotary_length(layer.scaling, layer.factor)
    cos = ops.cos(angles) * length
    sin = ops.sin(angles) * length
    first, second = ops.split(heads, 2, axis=-1)  # (batch, heads, time, head_dim / 2) each
    return ops.concatenate([first * cos - second * sin, second * cos + first * sin], -1)
