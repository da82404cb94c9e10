"""The base class of steppers, and prompts as they take them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf


class Stepper(ABC):
    """Runs a model one token at a time.

    Between steps there is a state, a structure of tensors whose first axis is the batch. Tokens have slots, which are
    counted from the first token of the longest prompt. All rows write the same slot at the same time.
    """

    longest: int | None
    """Most tokens that the model takes, or None without a limit."""
    continues_prompt: bool = True
    """Whether a text continues its prompt, rather than answering it."""

    @abstractmethod
    def begin(self, prompts: Sequence[np.ndarray]) -> tuple[Any, np.ndarray, int]:
        """Reads prompts up to the token that the first step takes.

        Args:
            prompts: the tokens of each row, int32 ``(n,)`` with at least 1 token.

        Returns:
            The state, with room for the prompts; the tokens of the first step, int32 ``(b,)``; and their slot.
        """

    @abstractmethod
    def step(self, tokens: Any, state: Any, slot: Any) -> tuple[Any, Any]:
        """Runs the model on one more token of each row, inside a graph.

        Args:
            tokens: int32 ``(b,)``.
            state: of the last step, or of ``begin``.
            slot: of the tokens, a scalar; below the capacity.

        Returns:
            Logits of the next token, ``(b, v)``, float32 or wider, and the new state.
        """

    def with_capacity(self, state: Any, capacity: int) -> Any:  # noqa: ARG002
        """The state with room for more slots.

        Args:
            state: any state.
            capacity: number of slots, not below the present number.
        """
        return state

    @abstractmethod
    def specs(self, state: Any) -> Any:
        """The ``tf.TensorSpec`` of each tensor of the state, for this batch and any capacity."""


class LanguageStepper(Stepper):
    """Runs a language model, also where prompts are read inside a graph: in a served model."""

    @abstractmethod
    def begin_in_graph(self, tokens: Any, is_token: Any, num_steps: Any, room: Any) -> Any:
        """Reads prompts inside a graph, up to their last tokens, which the first step takes.

        Args:
            tokens: int32 ``(b, t)``, padded at the start.
            is_token: booleans ``(b, t)``, false for padding.
            num_steps: how many steps may follow, a scalar.
            room: how many of them matter to each row, int32 ``(b,)``. A row that has ended takes part in the steps of
                the others, and must not fail there.

        Returns:
            The state. The slot of the last tokens is ``t - 1``.
        """


def select_rows(state: Any, rows: Any) -> Any:
    """The state of some rows.

    Args:
        state: a structure of tensors ``(b, ...)``.
        rows: their numbers, ``(n,)``; a row may occur several times.
    """
    return tf.nest.map_structure(lambda tensor: tf.gather(tensor, rows), state)


def spec_of(tensor: Any, free_axis: int | None = None) -> tf.TensorSpec:
    """The spec of tensors of the same dtype and shape.

    The batch is fixed: with a batch of any size, a step of GPT-2 was measured to take a third longer, since every
    operation's shape is then computed while it runs.

    Args:
        tensor: a tensor.
        free_axis: an axis of any size.
    """
    shape = [None if axis == free_axis else size for axis, size in enumerate(tensor.shape)]
    return tf.TensorSpec(shape, tensor.dtype)
