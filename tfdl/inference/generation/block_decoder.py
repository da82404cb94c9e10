"""Decodes a block of tokens in one call of a graph."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.inference.generation.samplers.chain import SamplerChain
from tfdl.inference.generation.samplers.sampler import NO_TOKEN
from tfdl.inference.generation.served_sampling import ServedChain
from tfdl.inference.generation.steppers.stepper import Stepper

_SLOT = tf.TensorSpec([], tf.int32)


class BlockDecoder:
    """Adds a block of tokens to each row: a loop in a graph, which is traced once for each number of rows.

    Args:
        stepper: the model.
        chain: how a token is chosen; it may take settings.
        end_id: the token that ends a row.
        xla: whether XLA compiles the loop, for each number of rows and of slots.
    """

    def __init__(self, stepper: Stepper, chain: SamplerChain | ServedChain, end_id: int, *, xla: bool = False):
        self._stepper = stepper
        self._chain = chain
        self.end_id = end_id
        self._xla = xla
        self._graph = tf.function(self._decode, autograph=False, jit_compile=xla)

    def __call__(
        self, tokens: Any, state: Any, slot: int, history: Any, uniforms: np.ndarray, settings: Sequence[Any] = ()
    ) -> tuple[np.ndarray, np.ndarray, Any, Any]:
        """Decodes as many tokens as ``uniforms`` has columns, or fewer if all rows end.

        Args:
            tokens: the last token of each row, int32 ``(b,)``.
            state: of the stepper.
            slot: of these tokens.
            history: int32 ``(b, capacity)`` with the tokens before and these, each in its slot, and -1 elsewhere.
            uniforms: a random number for each new token, float64 ``(b, n)``.
            settings: of the chain, scalars of tensors.

        Returns:
            The new tokens, int32 ``(b, n)``, -1 after the end of a row; their log-probabilities, ``(b, n)``; the new
            state and history.
        """
        arguments = (tf.constant(tokens), state, tf.constant(slot), history, tf.constant(uniforms), *settings)
        if self._xla:
            graph = self._graph.get_concrete_function(*arguments)
        else:
            batch_size = len(tokens)
            specs = (
                tf.TensorSpec([batch_size], tf.int32),
                self._stepper.specs(state),
                _SLOT,
                tf.TensorSpec([batch_size, None], tf.int32),
                tf.TensorSpec([batch_size, None], tf.float64),
                *(tf.TensorSpec([], setting.dtype) for setting in settings),
            )
            graph = self._graph.get_concrete_function(*specs)
        written, log_probabilities, state, history = graph(*arguments)
        return written.numpy(), log_probabilities.numpy(), state, history

    def _decode(
        self, tokens: Any, state: Any, slot: Any, history: Any, uniforms: Any, *settings: Any
    ) -> tuple[Any, ...]:
        num_steps = tf.shape(uniforms)[1]
        columns = tf.range(num_steps)  # (n,)
        slots = tf.range(tf.shape(history)[1])  # (capacity,)

        def continues(index: Any, tokens: Any, has_ended: Any, *_: Any) -> Any:  # noqa: ARG001
            return (index < num_steps) & ~tf.reduce_all(has_ended)

        def step(
            index: Any, tokens: Any, has_ended: Any, written: Any, scores: Any, history: Any, state: Any
        ) -> tuple[Any, ...]:
            logits, state = self._stepper.step(tokens, state, slot + index)  # (b, v)
            tokens = self._chain.choose(logits, history, uniforms[:, index], *settings)  # (b,)
            score = tf.gather(logits, tokens, batch_dims=1) - tf.reduce_logsumexp(logits, -1)  # (b,)
            new = tf.where(has_ended, NO_TOKEN, tokens)
            is_column = columns == index
            written = tf.where(is_column, new[:, tf.newaxis], written)  # (b, n)
            scores = tf.where(is_column, tf.cast(score, tf.float32)[:, tf.newaxis], scores)  # (b, n)
            history = tf.where(slots == slot + index + 1, new[:, tf.newaxis], history)  # (b, capacity)
            return index + 1, tokens, has_ended | (tokens == self.end_id), written, scores, history, state

        first_values = (
            tf.constant(0),
            tokens,
            tf.zeros_like(tokens, tf.bool),
            tf.fill(tf.shape(uniforms), NO_TOKEN),
            tf.zeros(tf.shape(uniforms), tf.float32),
            history,
            state,
        )
        *_, written, scores, history, state = tf.while_loop(continues, step, first_values)
        return written, scores, state, history
