"""Layers of models of texts, by Keras's embeddings and operations."""

from typing import Any

import keras
import numpy as np
from keras import ops

from tfdl.export.keras.counterparts import apply
from tfdl.layers import PositionEmbedding, SegmentEmbedding, SinusoidalPositionEmbedding, TokenEmbedding
from tfdl.layers.padding import PADDING, MaskedMean, PaddingMask
from tfdl.layers.rotary_rates import rotary_rates


def positions_of(inputs: Any) -> Any:
    """The numbers 0 to ``time - 1``, ``(1, time)``, for a number of steps that is not known yet.

    Args:
        inputs: ``(batch, time)`` or ``(batch, time, dim)``.
    """
    one_text = inputs[:1, :] if len(inputs.shape) == 2 else inputs[:1, :, 0]
    return ops.cumsum(ops.ones_like(one_text, dtype="int32"), axis=1) - 1


def token_embedding(layer: TokenEmbedding) -> keras.layers.Embedding:
    """A new layer, not yet built; it also computes logits if the model's does.

    Args:
        layer: of tfdl.
    """
    has_two_uses = len(layer._inbound_nodes) > 1
    kind = keras.layers.ReversibleEmbedding if has_two_uses else keras.layers.Embedding
    return kind(layer.vocab_size, layer.hidden_dim, name=layer.name, trainable=layer.trainable)


def position_embedding(layer: PositionEmbedding, inputs: Any, positions: None = None) -> Any:  # noqa: ARG001
    """An embedding of positions, added.

    Args:
        layer: of tfdl.
        inputs: ``(batch, time, dim)``.
        positions: none.
    """
    embedding = keras.layers.Embedding(
        layer.sequence_length, inputs.shape[-1], name=layer.name, trainable=layer.trainable
    )
    return inputs + apply(embedding, [layer.table], positions_of(inputs))  # (batch, time, dim)


def sinusoidal_positions(
    layer: SinusoidalPositionEmbedding,
    inputs: Any,
    positions: None = None,  # noqa: ARG001
) -> Any:
    """Sines and cosines, added.

    Args:
        layer: of tfdl.
        inputs: ``(batch, time, dim)``.
        positions: none.
    """
    width = inputs.shape[-1]
    angles = position_angles(inputs, rotary_rates(width, 10000.0))  # (1, time, dim / 2)
    pairs = ops.stack([ops.sin(angles), ops.cos(angles)], -1)  # (1, time, dim / 2, 2)
    return inputs + keras.layers.Reshape((-1, width), name=layer.name)(pairs)  # (batch, time, dim)


def position_angles(inputs: Any, rates: np.ndarray) -> Any:
    """Each position times each rate, ``(1, time, dim / 2)``.

    Args:
        inputs: ``(batch, time, ...)``.
        rates: radians for each position, ``(dim / 2,)``.
    """
    positions = ops.cast(positions_of(inputs), "float32")
    return ops.expand_dims(positions, -1) * rates.astype(np.float32)


def segment_embedding(layer: SegmentEmbedding, inputs: Any, tokens: Any, segments: None = None) -> Any:  # noqa: ARG001
    """An embedding of segments, added.

    Args:
        layer: of tfdl.
        inputs: ``(batch, time, dim)``.
        tokens: ``(batch, time)``.
        segments: none.
    """
    numbers = ops.zeros_like(tokens)
    if layer.separator_id is not None:
        is_separator = ops.cast(ops.equal(tokens, layer.separator_id), "int32")
        separators_before = ops.cumsum(is_separator, axis=1) - is_separator
        numbers = ops.minimum(separators_before, layer.num_segments - 1)
    embedding = keras.layers.Embedding(layer.num_segments, inputs.shape[-1], name=layer.name, trainable=layer.trainable)
    return inputs + apply(embedding, [layer.table], numbers)


def padding_mask(layer: PaddingMask, inputs: Any) -> Any:  # noqa: ARG001
    """Which tokens are real.

    Args:
        layer: of tfdl.
        inputs: tokens ``(batch, time)``.
    """
    return ops.not_equal(inputs, PADDING)


def masked_mean(layer: MaskedMean, inputs: Any, padding_mask: Any = None) -> Any:  # noqa: ARG001
    """The mean over real positions.

    Args:
        layer: of tfdl.
        inputs: ``(batch, time, dim)``.
        padding_mask: booleans ``(batch, time)``.
    """
    if padding_mask is None:
        return ops.mean(inputs, axis=1)
    is_real = ops.expand_dims(padding_mask, -1)  # (batch, time, 1)
    total = ops.sum(ops.where(is_real, inputs, 0.0), axis=1)  # (batch, dim)
    return total / ops.maximum(ops.sum(ops.cast(is_real, "float32"), axis=1), 1.0)
