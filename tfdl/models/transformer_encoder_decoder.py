r"""The encoder-decoder Transformer of 2017: reads one sequence and writes another."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfdl.config.models.transformer import TransformerConfig
from tfdl.layers.key_value_cache import Cache
from tfdl.layers.padding import PaddingMask
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

Memory = tuple[tuple[Cache, ...], Any]
"""What decoding needs of a source: its keys and values for each block, and its padding mask."""


@keras.saving.register_keras_serializable(package="tfdl")
class TransformerEncoderDecoder(keras.Model):
    r"""Scores the next token for every token of a target, given a source (Vaswani et al., 2017,
    https://arxiv.org/abs/1706.03762).

    The blocks of the encoder attend to the whole source. Those of the decoder attend to the target so far and to the
    encoder's outputs. One table holds the vectors of source and target tokens, and by default also scores the next
    tokens (section 3.4). Pad sequences of unequal lengths at the end with token 0. Padding of a source is never
    attended to, and later tokens of a target leave the logits of earlier ones bit-identical.

    Args:
        config: sizes and switches, a ``TransformerConfig`` or its fields. The encoder and the decoder have
            ``num_layers`` blocks each.
        vocab_size: number of tokens of source and target, including padding.
        dtype: precision that the model computes in. Defaults to the current one.
        name: of the model.

    Call arguments:
        inputs: tokens ``{"source": (batch, source), "target": (batch, time)}``; the target begins with a start token.
        training: whether to drop values.

    Returns:
        Logits ``(batch, time, vocab_size)``, float32, or float64 under that policy.

    Raises:
        UserError: ``vocab_size`` below 1.
    """

    def __init__(
        self,
        config: TransformerConfig | Mapping[str, Any],
        vocab_size: int,
        dtype: Any = None,
        name: str = "transformer_encoder_decoder",
    ):
        check_counts(vocab_size=vocab_size)
        if not isinstance(config, TransformerConfig):
            config = TransformerConfig(**config)
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        self.config = config
        self.vocab_size = vocab_size
        block_numbers = range(1, config.num_layers + 1)
        with compute_precision(policy.name):
            self.padding_mask = PaddingMask(name="padding_mask")
            self.token_embedding = build_token_embedding(config, vocab_size)
            self.source_positions = build_position_embedding(config, name="source_positions")
            self.target_positions = build_position_embedding(config, name="target_positions")
            self.source_dropout = build_dropout(config, name="source_dropout")
            self.target_dropout = build_dropout(config, name="target_dropout")
            self.encoder = [build_block(config, f"encoder_{number}", is_causal=False) for number in block_numbers]
            self.encoder_norm = build_final_norm(config, name="encoder_norm")
            self.decoder = [
                build_block(config, f"decoder_{number}", is_causal=True, cross_attention=True)
                for number in block_numbers
            ]
            self.decoder_norm = build_final_norm(config, name="decoder_norm")
            self.head = None if config.tie_embeddings else build_head(vocab_size, use_bias=False)
            source = keras.Input((None,), dtype="int32", name="source")  # (batch, source)
            target = keras.Input((None,), dtype="int32", name="target")  # (batch, time)
            inputs = {"source": source, "target": target}
            super().__init__(inputs, self._compute_logits(source, target), name=name)
            add_low_rank_updates(self, config.lora_rank, config.lora_alpha)
        self.dtype_policy = policy

    def encode(self, source: Any) -> tuple[Any, Any]:
        """Runs the encoder.

        Args:
            source: tokens ``(batch, source)``.

        Returns:
            The encoder's outputs, ``(batch, source, hidden_dim)``; and the padding mask, booleans ``(batch, source)``,
            true for real tokens.
        """
        padding_mask = self.padding_mask(source)  # (batch, source)
        x = self._embed(source, self.source_positions, self.source_dropout)  # (batch, source, hidden_dim)
        for block in self.encoder:
            x = block(x, padding_mask=padding_mask)
        if self.encoder_norm is not None:
            x = self.encoder_norm(x)
        return x, padding_mask

    def memory(self, source: Any) -> Memory:
        """Computes what ``decode`` needs of source tokens ``(batch, source)``, once for all steps."""
        encoded, padding_mask = self.encode(source)
        return tuple(block.project(encoded) for block in self.decoder), padding_mask

    def initial_cache(self, batch_size: Any, max_length: int | None = None) -> tuple[Cache, ...]:
        """Returns an empty cache of the target's keys and values.

        Args:
            batch_size: sequences to decode.
            max_length: slots for target tokens. Defaults to ``sequence_length`` of the configuration.

        Raises:
            UserError: more slots than learned positions.
        """
        return build_cache(self.config, self.decoder, batch_size, max_length)

    def decode(
        self, tokens: Any, cache: Sequence[Cache], position: Any, memory: Memory
    ) -> tuple[Any, tuple[Cache, ...]]:
        """Computes logits of target tokens that follow those in the cache, the same as a call with all of them.

        Args:
            tokens: ``(batch, time)``, the next target tokens.
            cache: from ``initial_cache`` or the last call.
            position: slot of the first of these tokens, a scalar.
            memory: ``memory(source)``.

        Returns:
            Logits ``(batch, time, vocab_size)``, and the cache with these tokens.

        Raises:
            UserError: the cache has too few slots, where both numbers are known.
        """
        tokens = tf.convert_to_tensor(tokens)  # (batch, time)
        check_cache_length(tokens, cache, position)
        positions = position + tf.range(tf.shape(tokens)[1])  # (time,)
        x = self._embed(tokens, self.target_positions, self.target_dropout, positions)  # (batch, time, hidden_dim)
        source_keys_values, source_padding_mask = memory
        new_cache = []
        for block, block_cache, keys_values in zip(self.decoder, cache, source_keys_values, strict=True):
            x, new_block_cache = block.decode(
                x, block_cache, position, positions, memory=keys_values, memory_padding_mask=source_padding_mask
            )
            new_cache.append(new_block_cache)
        return self._score(x), tuple(new_cache)

    def _compute_logits(self, source: Any, target: Any) -> Any:
        encoded, padding_mask = self.encode(source)  # (batch, source, hidden_dim)
        x = self._embed(target, self.target_positions, self.target_dropout)  # (batch, time, hidden_dim)
        for block in self.decoder:
            x = block(x, encoded, memory_padding_mask=padding_mask)
        return self._score(x)  # (batch, time, vocab_size)

    def _embed(self, tokens: Any, position_embedding: Any, dropout: Any, positions: Any = None) -> Any:
        """(batch, time) to (batch, time, hidden_dim)."""
        x = self.token_embedding(tokens)  # (batch, time, hidden_dim)
        if self.config.scale_embeddings:
            x = x * self.config.hidden_dim**0.5
        if position_embedding is not None:
            x = position_embedding(x, positions=positions)
        if dropout is not None:
            x = dropout(x)
        return x

    def _score(self, x: Any) -> Any:
        """(batch, time, hidden_dim) to logits (batch, time, vocab_size)."""
        if self.decoder_norm is not None:
            x = self.decoder_norm(x)
        return self.token_embedding.logits(x) if self.head is None else self.head(x)

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
