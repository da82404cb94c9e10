r"""The decoder-only Transformer: GPT-2, and its descendants' options."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfdl.config.models.transformer import TransformerConfig
from tfdl.layers.key_value_cache import Cache
from tfdl.models.cache import build_cache, check_places
from tfdl.models.data_arguments import check_counts
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
    r"""Scores, for every token of a sequence, which token comes next.

    Token and position vectors, blocks of causal self-attention and feed-forward layers, a last normalization, and the
    logits: by default GPT-2 (Radford et al., 2019, https://openai.com/index/better-language-models). Kernels and tables
    begin with a normal distribution of deviation 0.02, those that write into the residual stream divided by
    $\sqrt{2 L}$ for its $2 L$ additions.

    Args:
        config: sizes and switches, a ``TransformerConfig`` or its fields.
        vocab_size: $V$, how many tokens there are.
        dtype: the precision that the model computes in, as for any Keras layer; the current one if not given.

    Call arguments:
        inputs: tokens ``(B, T)``. Pad sequences of unequal lengths at the end, with any token: no token sees what comes
            after it, to the bit.
        training: whether to drop values.

    Returns:
        Logits ``(B, T, V)``, in float32, or in float64 under that policy.

    Raises:
        UserError: a vocabulary without a token.
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
        config = config if isinstance(config, TransformerConfig) else TransformerConfig(**config)
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        self.config, self.vocab_size = config, vocab_size
        with compute_precision(policy.name):
            self.token_embedding = build_token_embedding(config, vocab_size)
            self.position_embedding = build_position_embedding(config)
            self.embedding_dropout = build_dropout(config)
            self.blocks = [
                build_block(config, f"block_{number}", is_causal=True) for number in range(1, config.num_layers + 1)
            ]
            self.final_norm = build_final_norm(config)
            self.head = None if config.tie_embeddings else build_head(vocab_size, use_bias=False)
            tokens = keras.Input((None,), dtype="int32", name="tokens")  # (B, T)
            super().__init__(tokens, self.logits(self.hidden(tokens)), name=name)
        self.dtype_policy = policy

    def embed(self, tokens: Any, positions: Any = None) -> Any:
        """Tokens ``(B, T)`` to what the first block reads, ``(B, T, D)``."""
        x = self.token_embedding(tokens)  # (B, T, D)
        if self.config.scale_embeddings:
            x = x * self.config.hidden_dim**0.5
        if self.position_embedding is not None:
            x = self.position_embedding(x, positions=positions)
        return x if self.embedding_dropout is None else self.embedding_dropout(x)

    def hidden(self, tokens: Any) -> Any:
        """Tokens ``(B, T)`` to what the logits are made of, ``(B, T, D)``."""
        x = self.embed(tokens)  # (B, T, D)
        for block in self.blocks:
            x = block(x)
        return x if self.final_norm is None else self.final_norm(x)

    def logits(self, hidden: Any) -> Any:
        """Hidden vectors ``(B, T, D)`` to the scores of all tokens, ``(B, T, V)``."""
        return self.token_embedding.logits(hidden) if self.head is None else self.head(hidden)

    def initial_cache(self, batch_size: Any, max_length: int | None = None) -> tuple[Cache, ...]:
        """Keys and values of no token yet.

        Args:
            batch_size: $B$, sequences to decode.
            max_length: $S$, places for tokens, prompt included; ``sequence_length`` of the configuration if not given.

        Returns:
            For each block its keys and values, ``(B, num_key_value_heads, S, head width)`` each: the batch is the first
            axis of every tensor.

        Raises:
            UserError: more places than learned positions.
        """
        return build_cache(self.config, self.blocks, batch_size, max_length)

    def decode(
        self, tokens: Any, cache: Sequence[Cache], position: Any = 0, padding_mask: Any = None, at: Any = None
    ) -> tuple[Any, tuple[Cache, ...]]:
        """Logits for tokens that follow those in the cache, as a call with the whole sequence would give them.

        A prompt is given at once, and then one token at a time. Every shape is the same at every step, so the steps can
        be the body of a ``tf.while_loop``, and are compiled once:

            cache = model.initial_cache(batch_size)
            logits, cache = model.decode(prompts, cache)  # (B, T) to (B, T, V)
            logits, cache = model.decode(next_tokens, cache, position=T)  # (B, 1) to (B, 1, V)

        Prompts of unequal lengths are padded at either end, with any token. The padding keeps its places in the cache,
        is never looked at, and is not counted in the positions of the real tokens.

        Args:
            tokens: ``(B, T)``, the next tokens of each sequence.
            cache: from ``initial_cache`` or the last call.
            position: place of the first of them in the cache, a scalar: how many tokens it was given, padding included.
            padding_mask: booleans ``(B, S)``, false for places of padding, true for real tokens and all places to come;
                the same at every step.
            at: which of the ``T`` tokens to answer for, ``(B,)``; all of them if not given. For a long prompt and a
                large vocabulary the logits are most of the memory, and only the last are of use.

        Returns:
            Logits ``(B, T, V)``, or ``(B, 1, V)`` with ``at``, and the cache with these tokens in it.

        Raises:
            UserError: more tokens than places, where both are known.
        """
        tokens = tf.convert_to_tensor(tokens)  # (B, T)
        check_places(tokens, cache, position)
        places = position + tf.range(tf.shape(tokens)[1])  # (T,)
        positions = places
        if padding_mask is not None:
            before = tf.cumsum(tf.cast(padding_mask, tf.int32), axis=1, exclusive=True)  # (B, S)
            positions = tf.gather(before, places, axis=1)  # (B, T)
        x = self.embed(tokens, positions)  # (B, T, D)
        written = []
        for block, block_cache in zip(self.blocks, cache, strict=True):
            x, block_cache = block.decode(x, block_cache, position, positions, padding_mask)
            written.append(block_cache)
        if at is not None:
            x = tf.gather(x, at, batch_dims=1)[:, tf.newaxis]  # (B, 1, D)
        return self.logits(x if self.final_norm is None else self.final_norm(x)), tuple(written)

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
