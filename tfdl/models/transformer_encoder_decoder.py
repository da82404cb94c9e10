r"""The Transformer of 2017: one sequence in, another one out."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfdl.config.models.transformer import TransformerConfig
from tfdl.layers.key_value_cache import Cache
from tfdl.layers.padding import PaddingMask
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

Memory = tuple[tuple[Cache, ...], Any]
"""What decoding needs of a source: for each block its keys and values, and the source's padding mask."""


@keras.saving.register_keras_serializable(package="tfdl")
class TransformerEncoderDecoder(keras.Model):
    r"""Scores, for every token of a target, which token comes next, given a source (Vaswani et al., 2017,
    https://arxiv.org/abs/1706.03762).

    The encoder's blocks see the whole source, the decoder's the target so far and the encoder's outcome. One table
    holds the vectors of source and target tokens, and by default scores the next ones (section 3.4). Pad sequences of
    unequal lengths at the end with token 0: a source's padding is never looked at, and no token of a target sees what
    comes after it, to the bit.

    Args:
        config: sizes and switches, a ``TransformerConfig`` or its fields; ``num_layers`` blocks in each half.
        vocab_size: $V$, tokens of source and target, padding included.
        dtype: the precision that the model computes in; the current one if not given.

    Call arguments:
        inputs: ``{"source": (B, S), "target": (B, T)}``, tokens; the target begins with a start token.
        training: whether to drop values.

    Returns:
        Logits ``(B, T, V)``, in float32, or in float64 under that policy.

    Raises:
        UserError: a vocabulary without a token.
    """

    def __init__(
        self,
        config: TransformerConfig | Mapping[str, Any],
        vocab_size: int,
        dtype: Any = None,
        name: str = "transformer_encoder_decoder",
    ):
        check_counts(vocab_size=vocab_size)
        config = config if isinstance(config, TransformerConfig) else TransformerConfig(**config)
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        self.config, self.vocab_size = config, vocab_size
        numbers = range(1, config.num_layers + 1)
        with compute_precision(policy.name):
            self.padding_mask = PaddingMask(name="padding_mask")
            self.token_embedding = build_token_embedding(config, vocab_size)
            self.source_positions = build_position_embedding(config, name="source_positions")
            self.target_positions = build_position_embedding(config, name="target_positions")
            self.source_dropout = build_dropout(config, name="source_dropout")
            self.target_dropout = build_dropout(config, name="target_dropout")
            self.encoder = [build_block(config, f"encoder_{number}", is_causal=False) for number in numbers]
            self.encoder_norm = build_final_norm(config, name="encoder_norm")
            self.decoder = [
                build_block(config, f"decoder_{number}", is_causal=True, cross_attention=True) for number in numbers
            ]
            self.decoder_norm = build_final_norm(config, name="decoder_norm")
            self.head = None if config.tie_embeddings else build_head(vocab_size, use_bias=False)
            source = keras.Input((None,), dtype="int32", name="source")  # (B, S)
            target = keras.Input((None,), dtype="int32", name="target")  # (B, T)
            inputs = {"source": source, "target": target}
            super().__init__(inputs, self._scored(source, target), name=name)
        self.dtype_policy = policy

    def encode(self, source: Any) -> tuple[Any, Any]:
        """Source tokens ``(B, S)`` to what they mean beside each other, ``(B, S, D)``, and their padding mask."""
        mask = self.padding_mask(source)  # (B, S)
        x = self._embedded(source, self.source_positions, self.source_dropout)  # (B, S, D)
        for block in self.encoder:
            x = block(x, padding_mask=mask)
        return x if self.encoder_norm is None else self.encoder_norm(x), mask

    def memory(self, source: Any) -> Memory:
        """What ``decode`` needs of source tokens ``(B, S)``, computed once for all steps."""
        encoded, mask = self.encode(source)
        return tuple(block.project(encoded) for block in self.decoder), mask

    def initial_cache(self, batch_size: Any, max_length: int | None = None) -> tuple[Cache, ...]:
        """Keys and values of no target token yet, with ``max_length`` places (``sequence_length`` if not given).

        Raises:
            UserError: more places than learned positions.
        """
        return build_cache(self.config, self.decoder, batch_size, max_length)

    def decode(
        self, tokens: Any, cache: Sequence[Cache], position: Any, memory: Memory
    ) -> tuple[Any, tuple[Cache, ...]]:
        """Logits for target tokens that follow those in the cache, as a call with all of them would give.

        Args:
            tokens: ``(B, T)``, the next target tokens.
            cache: from ``initial_cache`` or the last call.
            position: place of the first of them, a scalar.
            memory: of the source.

        Returns:
            Logits ``(B, T, V)``, and the cache with these tokens in it.

        Raises:
            UserError: more tokens than places, where both are known.
        """
        tokens = tf.convert_to_tensor(tokens)
        check_places(tokens, cache, position)
        positions = position + tf.range(tf.shape(tokens)[1])  # (T,)
        x = self._embedded(tokens, self.target_positions, self.target_dropout, positions)  # (B, T, D)
        projected, mask = memory
        written = []
        for block, block_cache, keys_values in zip(self.decoder, cache, projected, strict=True):
            x, block_cache = block.decode(
                x, block_cache, position, positions, memory=keys_values, memory_padding_mask=mask
            )
            written.append(block_cache)
        return self._logits(x), tuple(written)

    def _scored(self, source: Any, target: Any) -> Any:
        encoded, mask = self.encode(source)
        x = self._embedded(target, self.target_positions, self.target_dropout)  # (B, T, D)
        for block in self.decoder:
            x = block(x, encoded, memory_padding_mask=mask)
        return self._logits(x)

    def _embedded(self, tokens: Any, position_embedding: Any, dropout: Any, positions: Any = None) -> Any:
        x = self.token_embedding(tokens)  # (B, T, D)
        if self.config.scale_embeddings:
            x = x * self.config.hidden_dim**0.5
        if position_embedding is not None:
            x = position_embedding(x, positions=positions)
        return x if dropout is None else dropout(x)

    def _logits(self, x: Any) -> Any:
        x = x if self.decoder_norm is None else self.decoder_norm(x)
        return self.token_embedding.logits(x) if self.head is None else self.head(x)  # (B, T, V)

    def get_config(self) -> dict[str, Any]:
        return {
            "config": dataclasses.asdict(self.config),
            "vocab_size": self.vocab_size,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "name": self.name,
        }

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: Any = None,  # noqa: ARG003
    ) -> "TransformerEncoderDecoder":
        return cls(**config)
