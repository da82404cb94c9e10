r"""The decoder-only Transformer: GPT-2, with options of later models."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfdl.config.models.transformer import TransformerConfig
from tfdl.layers.key_value_cache import Cache
from tfdl.models.cache import build_cache, check_cache_length
from tfdl.models.data_arguments import check_counts
from tfdl.models.low_rank import add_low_rank_updates
from tfdl.models.precision import compute_precision
from tfdl.models.transformer_layers import (
    build_block,
    build_dropout,
    build_final_norm,
    build_head,
    build_position_embedding,
    build_token_embedding,
)


@keras.saving.register_keras_serializable(package="tfdl")
class TransformerDecoder(keras.Model):
    r"""Scores the next token for every token of a sequence.

    Token and position vectors, blocks of causal self-attention and feed-forward layers, a final normalization, and the
    logits. The defaults are GPT-2's (Radford et al., 2019, https://openai.com/index/better-language-models). Kernels
    and tables start with a normal distribution of standard deviation 0.02. Those that write into the residual stream
    are divided by $\sqrt{2 L}$, for the $2 L$ additions of $L$ blocks.

    Args:
        config: sizes and switches, a ``TransformerConfig`` or its fields.
        vocab_size: number of tokens.
        dtype: precision that the model computes in, as for any Keras layer. Defaults to the current one.
        name: of the model.

    Call arguments:
        inputs: tokens ``(batch, time)``. Pad sequences of unequal lengths at the end, with any token: later tokens
            leave the logits of earlier ones bit-identical.
        training: whether to drop values.

    Returns:
        Logits ``(batch, time, vocab_size)``, float32, or float64 under that policy.

    Raises:
        UserError: ``vocab_size`` below 1.
        ValueError: a sequence longer than the learned positions.
    """

    def __init__(
        self,
        config: TransformerConfig | Mapping[str, Any],
        vocab_size: int,
        dtype: Any = None,
        name: str = "transformer_decoder",
    ):
        check_counts(vocab_size=vocab_size)
        if not isinstance(config, TransformerConfig):
            config = TransformerConfig(**config)
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        self.config = config
        self.vocab_size = vocab_size
        block_numbers = range(1, config.num_layers + 1)
        with compute_precision(policy.name):
            self.token_embedding = build_token_embedding(config, vocab_size)
            self.position_embedding = build_position_embedding(config)
            self.embedding_dropout = build_dropout(config)
            self.blocks = [build_block(config, f"block_{number}", is_causal=True) for number in block_numbers]
            self.final_norm = build_final_norm(config)
            self.head = None if config.tie_embeddings else build_head(vocab_size, use_bias=False)
            tokens = keras.Input((None,), dtype="int32", name="tokens")  # (batch, time)
            super().__init__(tokens, self.logits(self.hidden(tokens)), name=name)
            add_low_rank_updates(self, config.lora_rank, config.lora_alpha)
        self.dtype_policy = policy

    def embed(self, tokens: Any, positions: Any = None) -> Any:
        """Computes the inputs of the first block.

        Args:
            tokens: ``(batch, time)``.
            positions: positions of the tokens, integers ``(time,)`` or ``(batch, time)``. Defaults to 0 to ``time -
                1``.

        Returns:
            ``(batch, time, hidden_dim)``.
        """
        x = self.token_embedding(tokens)  # (batch, time, hidden_dim)
        if self.config.scale_embeddings:
            x = x * self.config.hidden_dim**0.5
        if self.position_embedding is not None:
            x = self.position_embedding(x, positions=positions)
        if self.embedding_dropout is not None:
            x = self.embedding_dropout(x)
        return x

    def hidden(self, tokens: Any) -> Any:
        """Computes the hidden vectors ``(batch, time, hidden_dim)`` of tokens ``(batch, time)``, for ``logits``."""
        x = self.embed(tokens)  # (batch, time, hidden_dim)
        for block in self.blocks:
            x = block(x)
        return x if self.final_norm is None else self.final_norm(x)

    def logits(self, hidden: Any) -> Any:
        """Scores all tokens: ``(batch, time, hidden_dim)`` to ``(batch, time, vocab_size)``."""
        return self.token_embedding.logits(hidden) if self.head is None else self.head(hidden)

    def initial_cache(self, batch_size: Any, max_length: int | None = None) -> tuple[Cache, ...]:
        """Returns an empty cache of keys and values.

        Args:
            batch_size: sequences to decode.
            max_length: slots for tokens, including the prompt. Defaults to ``sequence_length`` of the configuration.

        Returns:
            For each block its keys and values, ``(batch, num_key_value_heads, max_length, head_dim)`` each. The batch
            is the first axis of every tensor.

        Raises:
            UserError: more slots than learned positions.
        """
        return build_cache(self.config, self.blocks, batch_size, max_length)

    def decode(
        self, tokens: Any, cache: Sequence[Cache], position: Any = 0, padding_mask: Any = None, at: Any = None
    ) -> tuple[Any, tuple[Cache, ...]]:
        """Computes logits of tokens that follow those in the cache, the same as a call with the whole sequence.

        The first call decodes the whole prompt, later calls one token each. All shapes are the same at every step, so
        the steps can be the body of a ``tf.while_loop`` and are compiled once:

            cache = model.initial_cache(batch_size)
            logits, cache = model.decode(prompts, cache)  # (batch, time) to (batch, time, vocab_size)
            logits, cache = model.decode(next_tokens, cache, position=time)  # (batch, 1) to (batch, 1, vocab_size)

        Pad prompts of unequal lengths at either end, with any token. Padding keeps its slots in the cache. It is never
        attended to, and does not count in the positions of the real tokens.

        Args:
            tokens: ``(batch, time)``, the next tokens of each sequence.
            cache: from ``initial_cache`` or the last call.
            position: slot of the first of these tokens in the cache, a scalar: the number of tokens decoded so far,
                including padding.
            padding_mask: booleans ``(batch, max_length)``, false for slots of padding, true for slots of real tokens
                and for all slots not yet filled. Pass the same mask at every step.
            at: index of the token to return logits for, ``(batch,)``. Defaults to all tokens. With a long prompt and a
                large vocabulary the logits take most of the memory, and only the last ones are needed.

        Returns:
            Logits ``(batch, time, vocab_size)``, or ``(batch, 1, vocab_size)`` with ``at``; and the cache with these
            tokens.

        Raises:
            UserError: the cache has too few slots, where both numbers are known.
        """
        tokens = tf.convert_to_tensor(tokens)  # (batch, time)
        check_cache_length(tokens, cache, position)
        slots = position + tf.range(tf.shape(tokens)[1])  # (time,)
        positions = slots
        if padding_mask is not None:
            # A real token's position is the number of real tokens before it.
            tokens_before = tf.cumsum(tf.cast(padding_mask, tf.int32), axis=1, exclusive=True)  # (batch, max_length)
            positions = tf.gather(tokens_before, slots, axis=1)  # (batch, time)
        x = self.embed(tokens, positions)  # (batch, time, hidden_dim)
        new_cache = []
        for block, block_cache in zip(self.blocks, cache, strict=True):
            x, new_block_cache = block.decode(x, block_cache, position, positions, padding_mask)
            new_cache.append(new_block_cache)
        if at is not None:
            x = tf.gather(x, at, batch_dims=1)[:, tf.newaxis]  # (batch, 1, hidden_dim)
        if self.final_norm is not None:
            x = self.final_norm(x)
        return self.logits(x), tuple(new_cache)

    def get_config(self) -> dict[str, Any]:
        return {
            "config": dataclasses.asdict(self.config),
            "vocab_size": self.vocab_size,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "TransformerDecoder":  # noqa: ARG003
        return cls(**config)
