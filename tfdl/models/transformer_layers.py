"""The layers of a Transformer, as its configuration wants them. They compute in the current precision."""

import math
from typing import Any

import keras

from tfdl.config.models.transformer import TransformerConfig
from tfdl.layers import (
    CrossAttention,
    Dense,
    FeedForward,
    PositionEmbedding,
    SelfAttention,
    SinusoidalPositionEmbedding,
    TokenEmbedding,
    TransformerBlock,
)
from tfdl.layers.transformer_block import build_normalization
from tfdl.models.precision import logits_dtype

_DEVIATION = 0.02
_ROTARY_BASE = 10000.0


def build_token_embedding(config: TransformerConfig, vocab_size: int, name: str = "token_embedding") -> TokenEmbedding:
    """The table of token vectors."""
    return TokenEmbedding(vocab_size, config.hidden_dim, new_normal(), name=name)


def build_position_embedding(
    config: TransformerConfig, sequence_length: int | None = None, name: str = "position_embedding"
) -> keras.layers.Layer | None:
    """What adds positions to token vectors; none where queries and keys are turned instead.

    Args:
        config: which kind.
        sequence_length: learned positions; ``config.sequence_length`` if not given.
        name: of the layer.
    """
    if config.positions == "learned":
        return PositionEmbedding(sequence_length or config.sequence_length, new_normal(), name=name)
    return SinusoidalPositionEmbedding(name=name) if config.positions == "sinusoidal" else None


def build_dropout(config: TransformerConfig, name: str = "embedding_dropout") -> keras.layers.Layer | None:
    """Dropout of the embedded tokens; none where nothing is dropped."""
    return keras.layers.Dropout(config.dropout, name=name) if config.dropout else None


def build_block(
    config: TransformerConfig, name: str, *, is_causal: bool, cross_attention: bool = False
) -> TransformerBlock:
    """One block. Kernels that write into the residual stream start divided by the root of how many do so (GPT-2)."""
    sublayers = config.num_layers * (3 if cross_attention else 2)
    output = 1 / math.sqrt(sublayers)
    heads: dict[str, Any] = {
        "num_heads": config.num_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "use_bias": config.use_bias,
        "dropout": config.attention_dropout,
    }
    attention = SelfAttention(
        **heads,
        is_causal=is_causal,
        rotary_base=_ROTARY_BASE if config.positions == "rotary" else None,
        kernel_initializer=new_normal(),
        output_initializer=new_normal(output),
        name="attention",
    )
    feed_forward = FeedForward(
        config.intermediate_dim or 4 * config.hidden_dim,
        config.activation,
        use_bias=config.use_bias,
        kernel_initializer=new_normal(),
        output_initializer=new_normal(output),
        name="feed_forward",
    )
    crossing = None
    if cross_attention:
        crossing = CrossAttention(
            **heads, kernel_initializer=new_normal(), output_initializer=new_normal(output), name="cross_attention"
        )
    return TransformerBlock(
        attention,
        feed_forward,
        crossing,
        normalization=config.normalization,
        norm_first=config.norm_first,
        epsilon=config.epsilon,
        use_bias=config.use_bias,
        dropout=config.dropout,
        name=name,
    )


def build_final_norm(config: TransformerConfig, name: str = "final_norm") -> keras.layers.Layer | None:
    """The normalization after the last block; none where every block ends with one."""
    if not config.norm_first:
        return None
    return build_normalization(config.normalization, epsilon=config.epsilon, center=config.use_bias, name=name)


def build_head(num_logits: int, *, use_bias: bool, name: str = "logits") -> keras.layers.Layer:
    """A dense layer of logits."""
    return Dense(num_logits, use_bias=use_bias, kernel_initializer=new_normal(), dtype=logits_dtype(), name=name)


def new_normal(scale: float = 1.0) -> keras.initializers.Initializer:
    """A normal distribution of deviation 0.02, times ``scale``.

    A new initializer each time: one Keras initializer gives all layers of one shape the same values.
    """
    return keras.initializers.RandomNormal(stddev=scale * _DEVIATION)
