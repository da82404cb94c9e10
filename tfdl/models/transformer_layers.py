"""Builds the layers of a Transformer from its configuration. They compute in the current precision."""

import math
from typing import Any

import keras

from tfdl.config.models.transformer import TransformerConfig
from tfdl.layers import (
    CrossAttention,
    Dense,
    FeedForward,
    PositionEmbedding,
    SegmentEmbedding,
    SelfAttention,
    SinusoidalPositionEmbedding,
    TokenEmbedding,
    TransformerBlock,
)
from tfdl.layers.transformer_block import build_normalization
from tfdl.models.precision import logits_dtype

_STANDARD_DEVIATION = 0.02


def build_token_embedding(config: TransformerConfig, vocab_size: int, name: str = "token_embedding") -> TokenEmbedding:
    """Builds the table of token vectors.

    Args:
        config: configuration of the model.
        vocab_size: number of tokens.
        name: of the layer.
    """
    return TokenEmbedding(vocab_size, config.hidden_dim, new_normal(), name=name)


def build_position_embedding(
    config: TransformerConfig, sequence_length: int | None = None, name: str = "position_embedding"
) -> keras.layers.Layer | None:
    """Builds the layer that adds positions to token vectors; None for rotary positions, which attention applies.

    Args:
        config: configuration of the model.
        sequence_length: number of learned positions. Defaults to ``config.sequence_length``.
        name: of the layer.
    """
    if config.positions == "learned":
        return PositionEmbedding(sequence_length or config.sequence_length, new_normal(), name=name)
    if config.positions == "sinusoidal":
        return SinusoidalPositionEmbedding(name=name)
    return None


def build_segment_embedding(config: TransformerConfig, name: str = "segment_embedding") -> SegmentEmbedding | None:
    """Builds the layer that adds the vectors of segments; None for a model without segments.

    Args:
        config: configuration of the model.
        name: of the layer.
    """
    if config.num_segments == 0:
        return None
    return SegmentEmbedding(config.num_segments, config.separator_id, new_normal(), name=name)


def build_dropout(config: TransformerConfig, name: str = "embedding_dropout") -> keras.layers.Layer | None:
    """Builds the dropout of embedded tokens; None if the rate is 0.

    Args:
        config: configuration of the model.
        name: of the layer.
    """
    return keras.layers.Dropout(config.dropout, name=name) if config.dropout else None


def build_block(
    config: TransformerConfig, name: str, *, is_causal: bool, cross_attention: bool = False
) -> TransformerBlock:
    """Builds one block.

    The kernels that write into the residual stream start divided by the square root of their number (GPT-2).

    Args:
        config: configuration of the model.
        name: of the layer.
        is_causal: whether a position attends only to itself and to earlier positions.
        cross_attention: whether the block attends to a memory.
    """
    sublayers_of_block = 3 if cross_attention else 2
    output_scale = 1 / math.sqrt(config.num_layers * sublayers_of_block)
    attention_arguments: dict[str, Any] = {
        "num_heads": config.num_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "use_bias": config.use_bias,
        "dropout": config.attention_dropout,
    }
    attention = SelfAttention(
        **attention_arguments,
        is_causal=is_causal,
        rotary_base=config.rotary_base if config.positions == "rotary" else None,
        rotary_scaling=_rotary_scaling(config),
        sliding_window=config.sliding_window,
        query_key_value_bias=config.query_key_value_bias,
        kernel_initializer=new_normal(),
        output_initializer=new_normal(output_scale),
        name="attention",
    )
    feed_forward = FeedForward(
        config.intermediate_dim or 4 * config.hidden_dim,
        config.activation,
        use_bias=config.use_bias,
        kernel_initializer=new_normal(),
        output_initializer=new_normal(output_scale),
        name="feed_forward",
    )
    cross_attention_layer = None
    if cross_attention:
        cross_attention_layer = CrossAttention(
            **attention_arguments,
            kernel_initializer=new_normal(),
            output_initializer=new_normal(output_scale),
            name="cross_attention",
        )
    return TransformerBlock(
        attention,
        feed_forward,
        cross_attention_layer,
        normalization=config.normalization,
        norm_first=config.norm_first,
        epsilon=config.epsilon,
        use_bias=config.use_bias,
        dropout=config.dropout,
        name=name,
    )


def _rotary_scaling(config: TransformerConfig) -> dict[str, Any]:
    """Arguments of ``RotaryEmbedding`` besides the base."""
    return {
        "scaling": config.rotary_scaling,
        "factor": config.rotary_scaling_factor,
        "low_frequency_factor": config.rotary_low_frequency_factor,
        "high_frequency_factor": config.rotary_high_frequency_factor,
        "original_length": config.rotary_original_length,
    }


def build_final_norm(config: TransformerConfig, name: str = "final_norm") -> keras.layers.Layer | None:
    """Builds the normalization after the last block; None where every block ends with one.

    Args:
        config: configuration of the model.
        name: of the layer.
    """
    if not config.norm_first:
        return None
    return build_normalization(config.normalization, epsilon=config.epsilon, center=config.use_bias, name=name)


def build_head(num_logits: int, *, use_bias: bool, name: str = "logits") -> keras.layers.Layer:
    """Builds the dense layer of logits.

    Args:
        num_logits: number of logits.
        use_bias: whether the layer has a bias.
        name: of the layer.
    """
    return Dense(num_logits, use_bias=use_bias, kernel_initializer=new_normal(), dtype=logits_dtype(), name=name)


def new_normal(scale: float = 1.0) -> keras.initializers.Initializer:
    """Returns a normal distribution with standard deviation 0.02, times ``scale``.

    It is a new initializer each time: one Keras initializer returns the same values for the same shape.
    """
    return keras.initializers.RandomNormal(stddev=scale * _STANDARD_DEVIATION)
