"""Language models that keep nothing between tokens, such as a Keras model of the user."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.inference.generation.steppers.stepper import LanguageStepper, spec_of


class WholePassStepper(LanguageStepper):
    """Runs a causal model on the whole text for every token.

    The state is the tokens so far, at the start of each row, and their number. What stands after them does not matter
    to a causal model.

    Args:
        model: from tokens ``(b, t)`` to logits ``(b, t, v)``.
        longest: most tokens that the model takes.
    """

    def __init__(self, model: Any, longest: int):
        self._model = model
        self.longest = longest

    def begin(self, prompts: Sequence[np.ndarray]) -> tuple[Any, np.ndarray, int]:
        """See ``Stepper.begin``."""
        lengths = np.array([len(prompt) for prompt in prompts], np.int32)
        width = int(lengths.max())
        tokens = np.stack([np.pad(prompt[:-1], (0, width - len(prompt) + 1)) for prompt in prompts])
        state = (tf.constant(tokens.astype(np.int32)), tf.constant(lengths - 1))
        last_tokens = np.array([prompt[-1] for prompt in prompts], np.int32)
        return state, last_tokens, int(lengths.max()) - 1

    def begin_in_graph(self, tokens: Any, is_token: Any, num_steps: Any, room: Any) -> Any:  # noqa: ARG002
        """See ``LanguageStepper.begin_in_graph``."""
        text = tf.ragged.boolean_mask(tokens, is_token).to_tensor()  # (b, t), from the first slot
        text = tf.pad(text, [[0, 0], [0, num_steps]])
        return text, tf.reduce_sum(tf.cast(is_token, tf.int32), 1) - 1

    def step(self, tokens: Any, state: Any, slot: Any) -> tuple[Any, Any]:
        """See ``Stepper.step``."""
        text, lengths = state  # (b, capacity), (b,)
        is_next = tf.range(tf.shape(text)[1]) == lengths[:, tf.newaxis]
        text = tf.where(is_next, tokens[:, tf.newaxis], text)
        end = tf.minimum(slot + 1, self.longest)  # a row that has ended may go on beyond it
        logits = self._model(text[:, :end], training=False)  # (b, t, v)
        logits = tf.gather(logits, tf.minimum(lengths, end - 1), batch_dims=1)  # (b, v)
        if logits.dtype.size < tf.float32.size:
            logits = tf.cast(logits, tf.float32)
        return logits, (text, lengths + 1)

    def with_capacity(self, state: Any, capacity: int) -> Any:
        """See ``Stepper.with_capacity``."""
        text, lengths = state
        return tf.pad(text, [[0, 0], [0, max(0, capacity - text.shape[1])]]), lengths

    def specs(self, state: Any) -> Any:
        """See ``Stepper.specs``."""
        text, lengths = state
        return spec_of(text, 1), spec_of(lengths)
