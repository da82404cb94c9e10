"""A recurrent classifier of texts, and how it finds where a text ends."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfdl.config.models.rnn import RNNConfig
from tfdl.layers.padding import PADDING
from tfdl.models.data_arguments import check_counts
from tfdl.models.precision import compute_precision
from tfdl.models.rnn_layers import build_directions, build_dropout, build_head, build_token_embedding


@keras.saving.register_keras_serializable(package="tfdl")
class RNNClassifier(keras.Model):
    r"""Scores the classes of a text by the states that recurrent layers end with.

    Texts of unequal lengths are padded at the end with token 0, which changes nothing, to the bit: the state after the
    last token proper counts, and the other direction begins there. A text without a token counts as one of padding.

    Args:
        config: an ``RNNConfig`` or its fields.
        vocab_size: $V$, how many tokens there are, padding included.
        num_classes: $C$.
        dtype: the precision that the model computes in; the current one if not given.

    Call arguments:
        inputs: tokens ``(B, T)``.
        training: whether to drop values.

    Returns:
        Logits ``(B, C)``, in float32, or in float64 under that policy.

    Raises:
        UserError: a vocabulary or classes that cannot be.
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
        config = config if isinstance(config, RNNConfig) else RNNConfig(**config)
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        self.config, self.vocab_size, self.num_classes = config, vocab_size, num_classes
        with compute_precision(policy.name):
            self.token_embedding = build_token_embedding(config, vocab_size)
            self.dropouts = [build_dropout(config, f"dropout_{place}") for place in range(config.num_layers)]
            self.final_dropout = keras.layers.Dropout(config.dropout, name="final_dropout")
            self.recurrent = [build_directions(config, place + 1) for place in range(config.num_layers)]
            self.lengths = TextLengths(name="lengths")
            self.reversed = ReversedText(name="reversed") if config.bidirectional else None
            self.final_states = FinalStates(name="final_states")
            self.head = build_head(config, num_classes)
            tokens = keras.Input((None,), dtype="int32", name="tokens")  # (B, T)
            super().__init__(tokens, self._scored(tokens), name=name)
        self.dtype_policy = policy

    def _scored(self, tokens: Any) -> Any:
        lengths = self.lengths(tokens)  # (B,)
        x = self.token_embedding(tokens)  # (B, T, D)
        ends: list[Any] = []
        for directions, dropout in zip(self.recurrent, self.dropouts, strict=True):
            x = dropout(x)
            outputs, ends = [], []
            for place, layer in enumerate(directions):
                backward = place == 1
                y, _ = layer(self._turned(x, lengths) if backward else x)  # (B, T, U)
                ends.append(self.final_states(y, lengths))  # (B, U)
                outputs.append(self._turned(y, lengths) if backward else y)
            x = outputs[0] if len(outputs) == 1 else keras.ops.concatenate(outputs, -1)
        end = ends[0] if len(ends) == 1 else keras.ops.concatenate(ends, -1)  # (B, U), or both directions' (B, 2U)
        return self.head(self.final_dropout(end))

    def _turned(self, x: Any, lengths: Any) -> Any:
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


@keras.saving.register_keras_serializable(package="tfdl")
class TextLengths(keras.layers.Layer):
    """Tokens ``(B, T)``, padded at the end with 0, to the number of tokens before the padding, ``(B,)``; at least 1."""

    def call(self, inputs: Any) -> Any:
        tokens = tf.convert_to_tensor(inputs)
        places = tf.range(1, tf.shape(tokens)[1] + 1)
        return tf.maximum(tf.reduce_max(tf.where(tokens != PADDING, places, 0), axis=1), 1)

    def compute_output_spec(self, inputs: Any) -> Any:
        return keras.KerasTensor(inputs.shape[:1], "int32")


@keras.saving.register_keras_serializable(package="tfdl")
class ReversedText(keras.layers.Layer):
    """``(B, T, D)`` with the first ``lengths`` steps of each text from the end to the start, the rest in its place."""

    def call(self, inputs: Any, lengths: Any) -> Any:
        return tf.reverse_sequence(inputs, lengths, seq_axis=1, batch_axis=0)


@keras.saving.register_keras_serializable(package="tfdl")
class FinalStates(keras.layers.Layer):
    """``(B, T, U)`` to what stands at step ``lengths - 1`` of each text, ``(B, U)``."""

    def call(self, inputs: Any, lengths: Any) -> Any:
        return tf.gather(inputs, lengths - 1, batch_dims=1)
