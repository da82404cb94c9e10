"""Recurrent networks on tokens: a language model that carries its state along, and a classifier."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfdl.config.models.rnn import RNNConfig
from tfdl.errors import UserError
from tfdl.layers import GRU, LSTM, Dense, SimpleRNN, TokenEmbedding
from tfdl.layers.recurrent import Recurrent, State
from tfdl.models.precision import compute_precision

_CELLS = {"lstm": LSTM, "gru": GRU, "simple": SimpleRNN}

PADDING = 0
"""The token that a classifier takes for the end of a shorter text."""


def build(config: RNNConfig, *, vocab_size: int, num_classes: int | None = None) -> keras.Model:
    """A language model, or with ``num_classes`` a classifier of whole texts.

    Raises:
        UserError: a vocabulary or classes that cannot be, or a language model that would read from both ends.
    """
    if vocab_size < 1:
        raise UserError(f"vocab_size={vocab_size}, expected at least 1")
    if num_classes is None:
        return RNNLanguageModel(config, vocab_size)
    if num_classes < 1:
        raise UserError(f"num_classes={num_classes}, expected at least 1")
    return RNNClassifier(config, vocab_size, num_classes)


@keras.saving.register_keras_serializable(package="tfdl")
class RNNLanguageModel(keras.Model):
    r"""Scores, for every token of a sequence, which token comes next (Zaremba et al., 2014, arXiv:1409.2329).

    Vectors of tokens, recurrent layers with dropout on what goes up from one to the next but not along time, and
    logits. Long texts are cut into windows; ``with_state`` carries the state from one to the next:

        state = model.initial_state(batch_size)
        for window in windows:                                # (B, T) each
            logits, state = model.with_state(window, state)   # gradients end at the window's start

    Args:
        config: an ``RNNConfig`` or its fields.
        vocab_size: $V$, how many tokens there are.
        dtype: the precision that the model computes in; the current one if not given.

    Call arguments:
        inputs: tokens ``(B, T)``; the state begins at zero.
        training: whether to drop values.

    Returns:
        Logits ``(B, T, V)``, in float32, or in float64 under that policy.

    Raises:
        UserError: ``bidirectional``, which would let a token see what it is to predict.
    """

    def __init__(
        self,
        config: RNNConfig | Mapping[str, Any],
        vocab_size: int,
        dtype: Any = None,
        name: str = "rnn_language_model",
    ):
        config = config if isinstance(config, RNNConfig) else RNNConfig(**config)
        if config.bidirectional:
            raise UserError(
                "model.bidirectional=True in a language model, which would see the tokens that it predicts; expected"
                " false, or a classifier (num_classes)"
            )
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        self.config, self.vocab_size = config, vocab_size
        with compute_precision(policy.name):
            self.token_embedding = _token_embedding(config, vocab_size)
            self.dropouts = [_dropout(config, f"dropout_{place}") for place in range(config.num_layers + 1)]
            self.recurrent = [_recurrent(config, f"{config.cell}_{place + 1}") for place in range(config.num_layers)]
            self.head = None if config.tie_embeddings else _head(config, vocab_size)
            tokens = keras.Input((None,), dtype="int32", name="tokens")  # (B, T)
            super().__init__(tokens, self._scored(tokens, None, None)[0], name=name)
        self.dtype_policy = policy

    def initial_state(self, batch_size: Any) -> tuple[State, ...]:
        """The state before any token: for each layer its tensors, ``(B, units)`` of zeros."""
        return tuple(layer.initial_state(batch_size) for layer in self.recurrent)

    def with_state(self, tokens: Any, state: Sequence[State], training: bool = False) -> tuple[Any, tuple[State, ...]]:
        """Goes on from ``state``.

        Args:
            tokens: ``(B, T)``, what follows the tokens that made the state.
            state: from ``initial_state`` or the last call. No gradient goes back through it.
            training: whether to drop values.

        Returns:
            Logits ``(B, T, V)``, and the state after the last token.
        """
        return self._scored(tokens, tf.nest.map_structure(tf.stop_gradient, tuple(state)), training)

    def _scored(self, tokens: Any, state: Any, training: bool | None) -> tuple[Any, tuple[State, ...]]:
        x = self.dropouts[0](self.token_embedding(tokens), training=training)  # (B, T, D)
        last = []
        for place, (layer, dropout) in enumerate(zip(self.recurrent, self.dropouts[1:], strict=True)):
            x, after = layer(x, None if state is None else state[place], training=training)  # (B, T, U)
            x = dropout(x, training=training)
            last.append(after)
        logits = self.token_embedding.logits(x) if self.head is None else self.head(x)  # (B, T, V)
        return logits, tuple(last)

    def get_config(self) -> dict[str, Any]:
        return {
            "config": dataclasses.asdict(self.config),
            "vocab_size": self.vocab_size,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "RNNLanguageModel":  # noqa: ARG003
        return cls(**config)


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
    """

    def __init__(
        self,
        config: RNNConfig | Mapping[str, Any],
        vocab_size: int,
        num_classes: int,
        dtype: Any = None,
        name: str = "rnn_classifier",
    ):
        config = config if isinstance(config, RNNConfig) else RNNConfig(**config)
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        self.config, self.vocab_size, self.num_classes = config, vocab_size, num_classes
        with compute_precision(policy.name):
            self.token_embedding = _token_embedding(config, vocab_size)
            self.dropouts = [_dropout(config, f"dropout_{place}") for place in range(config.num_layers)]
            self.final_dropout = keras.layers.Dropout(config.dropout, name="final_dropout")
            self.recurrent = [_directions(config, place + 1) for place in range(config.num_layers)]
            self.lengths = TextLengths(name="lengths")
            self.reversed = ReversedText(name="reversed") if config.bidirectional else None
            self.final_states = FinalStates(name="final_states")
            self.head = _head(config, num_classes)
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


def _token_embedding(config: RNNConfig, vocab_size: int) -> TokenEmbedding:
    initializer = _uniform(config, keras.initializers.RandomUniform(-0.05, 0.05))
    return TokenEmbedding(vocab_size, config.embedding_dim or config.units, initializer, name="token_embedding")


def _directions(config: RNNConfig, number: int) -> list[Recurrent]:
    if not config.bidirectional:
        return [_recurrent(config, f"{config.cell}_{number}")]
    return [_recurrent(config, f"{config.cell}_{number}_{way}") for way in ("forward", "backward")]


def _recurrent(config: RNNConfig, name: str) -> Recurrent:
    own: dict[str, Any] = {}
    if config.init_scale is not None:
        own = {f"{weight}_initializer": _uniform(config, None) for weight in ("kernel", "recurrent", "bias")}
        own |= {"forget_bias": 0.0} if config.cell == "lstm" else {}
    dropped = config.dropout if config.variational else 0.0
    return _CELLS[config.cell](config.units, recurrent_dropout=dropped, name=name, **own)


def _dropout(config: RNNConfig, name: str) -> Any:
    """On ``(B, T, D)``: at each step anew, or the same at all steps of a sequence."""
    shape = (None, 1, None) if config.variational else None
    return keras.layers.Dropout(config.dropout, noise_shape=shape, name=name)


def _head(config: RNNConfig, outputs: int) -> Dense:
    """Softmax wants at least float32, whatever the layers below compute in."""
    dtype = "float64" if keras.config.dtype_policy().compute_dtype == "float64" else "float32"
    kernel, bias = _uniform(config, "glorot_uniform"), _uniform(config, "zeros")
    return Dense(outputs, kernel_initializer=kernel, bias_initializer=bias, dtype=dtype, name="logits")


def _uniform(config: RNNConfig, otherwise: Any) -> Any:
    scale = config.init_scale
    return otherwise if scale is None else keras.initializers.RandomUniform(-scale, scale)
