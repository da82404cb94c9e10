"""The blocks of a Transformer."""

from typing import Any

import keras
from keras import ops

from tfdl.export.keras.attention import cross_attention, self_attention
from tfdl.export.keras.counterparts import dense, normalization
from tfdl.layers import FeedForward, TransformerBlock


def transformer_block(
    layer: TransformerBlock,
    inputs: Any,
    memory: Any = None,
    padding_mask: Any = None,
    memory_padding_mask: Any = None,
    **_: Any,
) -> Any:
    """See ``tfdl.layers.TransformerBlock``.

    Args:
        layer: of tfdl.
        inputs: ``(batch, time, dim)``.
        memory: ``(batch, source, memory_dim)``.
        padding_mask: booleans ``(batch, time)``.
        memory_padding_mask: booleans ``(batch, source)``.
    """
    name = layer.name
    x = inputs
    y = _norm_before(layer, layer.attention_norm, x)
    y = self_attention(layer.attention, y, padding_mask, f"{name}_attention")
    x = _add_residual(layer, layer.attention_norm, x, y)
    if layer.cross_attention is not None:
        y = _norm_before(layer, layer.cross_attention_norm, x)
        y = cross_attention(layer.cross_attention, y, memory, memory_padding_mask, f"{name}_cross_attention")
        x = _add_residual(layer, layer.cross_attention_norm, x, y)
    y = _norm_before(layer, layer.feed_forward_norm, x)
    y = _feed_forward(layer.feed_forward, y, f"{name}_feed_forward")
    return _add_residual(layer, layer.feed_forward_norm, x, y)


def _norm_before(layer: TransformerBlock, norm: Any, x: Any) -> Any:
    return normalization(norm, x, f"{layer.name}_{norm.name}") if layer.norm_first else x


def _add_residual(layer: TransformerBlock, norm: Any, x: Any, y: Any) -> Any:
    if layer.residual_dropout is not None:
        y = keras.layers.Dropout(layer.dropout, name=f"{layer.name}_{norm.name}_dropout")(y)
    return x + y if layer.norm_first else normalization(norm, x + y, f"{layer.name}_{norm.name}")


def _feed_forward(layer: FeedForward, inputs: Any, name: str) -> Any:
    hidden = dense(layer.up, inputs, f"{name}_up")
    if layer.activation == "swiglu":
        gate, up = ops.split(hidden, 2, axis=-1)
        hidden = ops.silu(gate) * up
    elif layer.activation == "relu":
        hidden = ops.relu(hidden)
    else:
        hidden = ops.gelu(hidden, approximate=layer.activation == "gelu")
    return dense(layer.down, hidden, f"{name}_down")
