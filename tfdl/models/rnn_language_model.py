"""A recurrent language model that carries its state from one window of text to the next."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfdl.config.models.rnn import RNNConfig
from tfdl.errors import UserError
from tfdl.layers.recurrent import State
from tfdl.models.data_arguments import check_counts
from tfdl.models.precision import compute_precision
from tfdl.models.rnn_layers import build_dropout, build_head, build_recurrent, build_token_embedding


@keras.saving.register_keras_serializable(package="tfdl")
class RNNLanguageModel(keras.Model):
    r"""Scores the next token for every token of a sequence (Zaremba et al., 2014, arXiv:1409.2329).

    Token vectors, recurrent layers, and logits. Dropout acts on the values between layers, not on those between steps.
    Long texts are cut into windows, and ``with_state`` carries the state from one window to the next:

        state = model.initial_state(batch_size)
        for window in windows:                                # (batch, time) each
            logits, state = model.with_state(window, state)   # gradients stop at the start of the window

    Args:
        config: an ``RNNConfig`` or its fields.
        vocab_size: number of tokens.
        dtype: precision that the model computes in. Defaults to the current one.
        name: of the model.

    Call arguments:
        inputs: tokens ``(batch, time)``. The state starts at zero.
        training: whether to drop values.

    Returns:
        Logits ``(batch, time, vocab_size)``, float32, or float64 under that policy.

    Raises:
        UserError: ``vocab_size`` below 1, or ``bidirectional``, which would show each token the next one.
    """

    def __init__(
        self,
        config: RNNConfig | Mapping[str, Any],
        vocab_size: int,
        dtype: Any = None,
        name: str = "rnn_language_model",
    ):
        check_counts(vocab_size=vocab_size)
        if not isinstance(config, RNNConfig):
            config = RNNConfig(**config)
        if config.bidirectional:
            raise UserError(
                "model.bidirectional=True in a language model, which would see the tokens that it predicts; expected"
                " false, or a classifier (num_classes)"
            )
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        self.config = config
        self.vocab_size = vocab_size
        levels = range(config.num_layers)
        with compute_precision(policy.name):
            self.token_embedding = build_token_embedding(config, vocab_size)
            # One before the first recurrent layer and one after each.
            self.dropouts = [build_dropout(config, f"dropout_{index}") for index in range(config.num_layers + 1)]
            self.recurrent = [build_recurrent(config, f"{config.cell}_{level + 1}") for level in levels]
            self.head = None if config.tie_embeddings else build_head(config, vocab_size)
            tokens = keras.Input((None,), dtype="int32", name="tokens")  # (batch, time)
            logits, _ = self._compute_logits(tokens, None, None)
            super().__init__(tokens, logits, name=name)
        self.dtype_policy = policy

    def initial_state(self, batch_size: Any) -> tuple[State, ...]:
        """Returns the state before any token: for each layer a tuple of zeros, ``(batch, units)`` each."""
        return tuple(layer.initial_state(batch_size) for layer in self.recurrent)

    def with_state(self, tokens: Any, state: Sequence[State], training: bool = False) -> tuple[Any, tuple[State, ...]]:
        """Computes the logits of a text that continues from ``state``.

        Args:
            tokens: ``(batch, time)``, the tokens after those that produced the state.
            state: from ``initial_state`` or the last call. No gradient flows back through it.
            training: whether to drop values.

        Returns:
            Logits ``(batch, time, vocab_size)``, and the state after the last token.
        """
        constant_state = tf.nest.map_structure(tf.stop_gradient, tuple(state))
        return self._compute_logits(tokens, constant_state, training)

    def _compute_logits(self, tokens: Any, state: Any, training: bool | None) -> tuple[Any, tuple[State, ...]]:
        first_dropout, *dropouts = self.dropouts
        x = first_dropout(self.token_embedding(tokens), training=training)  # (batch, time, embedding_dim)
        last_states = []
        for index, (layer, dropout) in enumerate(zip(self.recurrent, dropouts, strict=True)):
            layer_state = None if state is None else state[index]
            x, last_state = layer(x, layer_state, training=training)  # (batch, time, units)
            x = dropout(x, training=training)
            last_states.append(last_state)
        logits = self.token_embedding.logits(x) if self.head is None else self.head(x)  # (batch, time, vocab_size)
        return logits, tuple(last_states)

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
