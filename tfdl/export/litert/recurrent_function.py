"""A recurrent language model as a LiteRT file: its state goes in and out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.export.file_metrics import FileInGraph
from tfdl.export.known_tasks import LOGITS, TOKEN_IDS
from tfdl.export.litert.functions import LiteRTFunction, random_tokens
from tfdl.export.parity import Arrays

_STATE = "state_"
_NEXT_STATE = "next_state_"


class RecurrentLanguageFunction(LiteRTFunction):
    """The next tokens of a text, and the state after it, with which the text can be continued.

    Args:
        model: an ``RNNLanguageModel``.
        task: a ``LanguageModeling``.
    """

    def __init__(self, model: Any, task: Any):
        super().__init__(model, task)
        self._state = model.initial_state(1)
        flat_state = tf.nest.flatten(self._state)
        self._widths = {f"{_STATE}{number}": int(part.shape[1]) for number, part in enumerate(flat_state)}

    @property
    def notes(self) -> tuple[str, ...]:
        """How to use the state."""
        return ("a text begins with states of zeros; it is continued with the states that the last call returned",)

    @property
    def inputs(self) -> dict[str, tf.TensorSpec]:
        """Tokens ``(b, t)``, and each part of the state, ``(b, units)``."""
        states = {name: tf.TensorSpec([None, width], tf.float32, name=name) for name, width in self._widths.items()}
        return {TOKEN_IDS: tf.TensorSpec([None, None], tf.int32, name=TOKEN_IDS), **states}

    def answer(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """``logits`` ``(b, t, v)``, and each part of the state after the last token, ``(b, units)``."""
        state = tf.nest.pack_sequence_as(self._state, [inputs[name] for name in self._widths])
        logits, next_state = self.model.with_state(inputs[TOKEN_IDS], state)
        parts = {f"{_NEXT_STATE}{number}": part for number, part in enumerate(tf.nest.flatten(next_state))}
        return {LOGITS: logits, **parts}

    def sample(self, generator: np.random.Generator, count: int, number: int) -> Arrays:
        """Random tokens and states."""
        states = {name: generator.normal(size=(count, width)) for name, width in self._widths.items()}
        tokens = random_tokens(self.task, generator, count, number)
        return {TOKEN_IDS: tokens, **{name: state.astype(np.float32) for name, state in states.items()}}

    def of_window(self, tokens: Any, state: Any) -> dict[str, Any]:
        """The inputs of a window of a text.

        Args:
            tokens: ``(b, t)``.
            state: after the window before, as the model has it.
        """
        return {TOKEN_IDS: tokens, **dict(zip(self._widths, tf.nest.flatten(state), strict=True))}

    def next_state(self, outputs: Mapping[str, Any]) -> Any:
        """The state after a window, as the model has it.

        Args:
            outputs: of ``answer`` by name.
        """
        parts = [outputs[f"{_NEXT_STATE}{number}"] for number in range(len(self._widths))]
        return tf.nest.pack_sequence_as(self._state, parts)


class RecurrentFile:
    """A file as ``CarriedStateEvaluator`` takes a model.

    Args:
        function: what the file computes.
        file: is asked in place of the model.
    """

    def __init__(self, function: RecurrentLanguageFunction, file: FileInGraph):
        self._function = function
        self._file = file

    def initial_state(self, batch_size: Any) -> Any:
        """The state before a text.

        Args:
            batch_size: number of texts.
        """
        return self._function.model.initial_state(batch_size)

    def with_state(self, tokens: Any, state: Any) -> tuple[Any, Any]:
        """Logits of a window of a text, and the state after it.

        Args:
            tokens: ``(b, t)``.
            state: after the window before.
        """
        outputs = self._file.answers(self._function.of_window(tokens, state))
        return outputs[LOGITS], self._function.next_state(outputs)
