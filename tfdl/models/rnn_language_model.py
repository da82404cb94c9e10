"""A recurrent language model that carries its state along."""

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
        UserError: a vocabulary without a token, or ``bidirectional``, which would let a token see what it is to
            predict.
    """

    def __init__(
        self,
        config: RNNConfig | Mapping[str, Any],
        vocab_size: int,
        dtype: Any = None,
        name: str = "rnn_language_model",
    ):
        check_counts(vocab_size=vocab_size)
        config = config if isinstance(config, RNNConfig) else RNNConfig(**config)
        if config.bidirectional:
            raise UserError(
                "model.bidirectional=True in a language model, which would see the tokens that it predicts; expected"
                " false, or a classifier (num_classes)"
            )
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        self.config, self.vocab_size = config, vocab_size
        with compute_precision(policy.name):
            self.token_embedding = build_token_embedding(config, vocab_size)
            self.dropouts = [build_dropout(config, f"dropout_{place}") for place in range(config.num_layers + 1)]
            self.recurrent = [
                build_recurrent(config, f"{config.cell}_{place + 1}") for place in range(config.num_layers)
            ]
            self.head = None if config.tie_embeddings else build_head(config, vocab_size)
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
