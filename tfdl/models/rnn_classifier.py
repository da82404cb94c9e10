"""A recurrent classifier of texts, and the layers that handle the padding of texts."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfdl.config.models.rnn import RNNConfig
from tfdl.layers.padding import PADDING
from tfdl.layers.recurrent import Recurrent
from tfdl.models.data_arguments import check_counts
from tfdl.models.precision import compute_precision
from tfdl.models.rnn_layers import build_directions, build_dropout, build_head, build_token_embedding


@keras.saving.register_keras_serializable(package="tfdl")
class RNNClassifier(keras.Model):
    r"""Scores the classes of a text by the final states of recurrent layers.

    Texts of unequal lengths are padded at the end with token 0. Padding leaves the result bit-identical: the forward
    direction ends after the last real token, and the backward direction starts there. A text without a real token
    counts as one token of padding.

    Args:
        config: an ``RNNConfig`` or its fields.
        vocab_size: number of tokens, including padding.
        num_classes: number of classes.
        dtype: precision that the model computes in. Defaults to the current one.
        name: of the model.

    Call arguments:
        inputs: tokens ``(batch, time)``.
        training: whether to drop values.

    Returns:
        Logits ``(batch, num_classes)``, float32, or float64 under that policy.

    Raises:
        UserError: ``vocab_size`` or ``num_classes`` below 1.
    """

    def __init__(
        self,
        config: RNNConfig | Mapping[str, Any],
        vocab_size: int,
        num_classes: int,
        dtype: Any = None,
        name: str = "rnn_classifier",
    ):
        check_counts(vocab_size=vocab_size, num_classes=num_classes)
        if not isinstance(config, RNNConfig):
            config = RNNConfig(**config)
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        self.config = config
        self.vocab_size = vocab_size
        self.num_classes = num_classes
        levels = range(config.num_layers)
        with compute_precision(policy.name):
            self.token_embedding = build_token_embedding(config, vocab_size)
            self.dropouts = [build_dropout(config, f"dropout_{level}") for level in levels]
            self.final_dropout = keras.layers.Dropout(config.dropout, name="final_dropout")
            self.recurrent = [build_directions(config, level + 1) for level in levels]
            self.lengths = TextLengths(name="lengths")
            self.reversed = ReversedText(name="reversed") if config.bidirectional else None
            self.final_states = FinalStates(name="final_states")
            self.head = build_head(config, num_classes)
            tokens = keras.Input((None,), dtype="int32", name="tokens")  # (batch, time)
            super().__init__(tokens, self._compute_logits(tokens), name=name)
        self.dtype_policy = policy

    def _compute_logits(self, tokens: Any) -> Any:
        lengths = self.lengths(tokens)  # (batch,)
        x = self.token_embedding(tokens)  # (batch, time, embedding_dim)
        final_states: list[Any] = []
        for directions, dropout in zip(self.recurrent, self.dropouts, strict=True):
            x = dropout(x)
            x, final_states = self._run_level(directions, x, lengths)
        state = _concatenate(final_states)  # (batch, units), or (batch, 2 * units) of both directions
        return self.head(self.final_dropout(state))  # (batch, num_classes)

    def _run_level(self, directions: list[Recurrent], x: Any, lengths: Any) -> tuple[Any, list[Any]]:
        """Runs the one or two directions of a level on ``x``, ``(batch, time, dim)``.

        Returns:
            Their outputs side by side, and the final state of each, ``(batch, units)``.
        """
        outputs: list[Any] = []
        final_states: list[Any] = []
        for direction, layer in enumerate(directions):
            is_backward = direction == 1
            y, _ = layer(self._reverse(x, lengths) if is_backward else x)  # (batch, time, units)
            final_states.append(self.final_states(y, lengths))  # (batch, units)
            outputs.append(self._reverse(y, lengths) if is_backward else y)
        return _concatenate(outputs), final_states

    def _reverse(self, x: Any, lengths: Any) -> Any:
        assert self.reversed is not None
        return self.reversed(x, lengths)

    def get_config(self) -> dict[str, Any]:
        return {
            "config": dataclasses.asdict(self.config),
            "vocab_size": self.vocab_size,
            "num_classes": self.num_classes,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "RNNClassifier":  # noqa: ARG003
        return cls(**config)


def _concatenate(tensors: list[Any]) -> Any:
    """Joins tensors along the last axis; a single one is returned as it is, which adds no layer to the model."""
    return tensors[0] if len(tensors) == 1 else keras.ops.concatenate(tensors, -1)


@keras.saving.register_keras_serializable(package="tfdl")
class TextLengths(keras.layers.Layer):
    """The number of tokens before the padding, at least 1.

    Call arguments:
        inputs: tokens ``(batch, time)``, padded at the end with 0.

    Returns:
        Integers ``(batch,)``.
    """

    def call(self, inputs: Any) -> Any:
        tokens = tf.convert_to_tensor(inputs)  # (batch, time)
        lengths_at = tf.range(1, tf.shape(tokens)[1] + 1)  # (time,), the length of a text that ends at each position
        real_lengths = tf.where(tokens != PADDING, lengths_at, 0)  # (batch, time)
        return tf.maximum(tf.reduce_max(real_lengths, axis=1), 1)  # (batch,)

    def compute_output_spec(self, inputs: Any) -> Any:
        return keras.KerasTensor(inputs.shape[:1], "int32")


@keras.saving.register_keras_serializable(package="tfdl")
class ReversedText(keras.layers.Layer):
    """Reverses the first ``lengths`` steps of each text and leaves the padding in place.

    Call arguments:
        inputs: ``(batch, time, dim)``.
        lengths: integers ``(batch,)``.

    Returns:
        ``(batch, time, dim)``.
    """

    def call(self, inputs: Any, lengths: Any) -> Any:
        return tf.reverse_sequence(inputs, lengths, seq_axis=1, batch_axis=0)


@keras.saving.register_keras_serializable(package="tfdl")
class FinalStates(keras.layers.Layer):
    """Selects step ``lengths - 1`` of each text.

    Call arguments:
        inputs: ``(batch, time, units)``.
        lengths: integers ``(batch,)``.

    Returns:
        ``(batch, units)``.
    """

    def call(self, inputs: Any, lengths: Any) -> Any:
        return tf.gather(inputs, lengths - 1, batch_dims=1)  # (batch, units)
