"""Recurrent language models, whose state is all that they keep of a text."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.inference.generation.steppers.stepper import LanguageStepper, select_rows, spec_of


class RecurrentStepper(LanguageStepper):
    """Steps of a model with ``initial_state`` and ``with_state``. Texts may have any length.

    Args:
        model: the language model.
    """

    longest = None

    def __init__(self, model: Any):
        self._model = model
        self._read = tf.function(
            lambda tokens, state: model.with_state(tokens, state)[1], autograph=False, reduce_retracing=True
        )

    def begin(self, prompts: Sequence[np.ndarray]) -> tuple[Any, np.ndarray, int]:
        """See ``Stepper.begin``.

        A state has no place for padding. So the prompts are read in pieces: up to the end of the shortest, from there
        to the end of the next, and so on, each piece by those prompts that reach so far.
        """
        lengths = np.array([len(prompt) for prompt in prompts]) - 1  # the last token is the first step's
        order = np.argsort(-lengths, kind="stable")  # the longest first
        longest_first = [prompts[row] for row in order]
        read = self._model.initial_state(len(prompts))
        for begin, end in pairwise([0, *np.unique(lengths)]):
            num_rows = int((lengths >= end).sum())
            if end == begin:
                continue
            piece = np.stack([prompt[begin:end] for prompt in longest_first[:num_rows]]).astype(np.int32)
            reading = tf.nest.map_structure(lambda tensor, n=num_rows: tensor[:n], read)
            after = self._read(tf.constant(piece), reading)
            rest = tf.nest.map_structure(lambda tensor, n=num_rows: tensor[n:], read)
            read = tf.nest.map_structure(lambda *parts: tf.concat(parts, 0), after, rest)
        state = select_rows(read, np.argsort(order))
        last_tokens = np.array([prompt[-1] for prompt in prompts], np.int32)
        return state, last_tokens, int(lengths.max())

    def begin_in_graph(self, tokens: Any, is_token: Any, num_steps: Any, room: Any) -> Any:  # noqa: ARG002
        """See ``LanguageStepper.begin_in_graph``. Padding leaves a row's state as it is."""
        batch_size, width = tf.unstack(tf.shape(tokens))

        def read(column: Any, state: Any) -> tuple[Any, Any]:
            _, after = self._model.with_state(tokens[:, column : column + 1], state)
            has_token = is_token[:, column, tf.newaxis]
            return column + 1, tf.nest.map_structure(lambda new, old: tf.where(has_token, new, old), after, state)

        begin = (tf.constant(0), self._model.initial_state(batch_size))
        _, state = tf.while_loop(lambda column, _: column < width - 1, read, begin)
        return state

    def step(self, tokens: Any, state: Any, slot: Any) -> tuple[Any, Any]:  # noqa: ARG002
        """See ``Stepper.step``."""
        logits, state = self._model.with_state(tokens[:, tf.newaxis], state)
        return logits[:, 0], state

    def specs(self, state: Any) -> Any:
        """See ``Stepper.specs``."""
        return tf.nest.map_structure(spec_of, state)
