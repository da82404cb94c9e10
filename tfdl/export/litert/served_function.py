"""What a LiteRT file computes for a task that the user made: the answers of its served model that are numbers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.export.litert.functions import LiteRTFunction
from tfdl.export.parity import Arrays
from tfdl.export.served_numbers import as_arrays, check_numbers, numbers_of


class ServedFunction(LiteRTFunction):
    """``Task.serve`` without its strings.

    Args:
        model: the model.
        task: any task.

    Raises:
        UserError: it takes or returns nothing but strings.
    """

    def __init__(self, model: Any, task: Any):
        super().__init__(model, task)
        check_numbers(self.inputs, task)

    @property
    def inputs(self) -> dict[str, tf.TensorSpec]:
        """See ``Task.serving_signature``."""
        return dict(self.task.serving_signature())

    def answer(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """See ``Task.serve``."""
        return numbers_of(self.task.serve(self.model, **inputs), self.task)

    def sample(self, generator: np.random.Generator, count: int, number: int) -> Arrays:  # noqa: ARG002
        """See ``Task.serving_sample``."""
        return as_arrays(self.task.serving_sample(count, seed=number))
