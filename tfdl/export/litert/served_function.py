"""What a LiteRT file computes for a task that the user made: the answers of its served model that are numbers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.errors import UserError
from tfdl.export.litert.functions import LiteRTFunction
from tfdl.export.parity import Arrays


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
        texts = [name for name, spec in self.inputs.items() if spec.dtype == tf.string]
        if texts:
            raise UserError(
                f"the task {task.name!r} takes strings ({', '.join(texts)}), which LiteRT does not have; use --format"
                " saved_model"
            )

    @property
    def inputs(self) -> dict[str, tf.TensorSpec]:
        """See ``Task.serving_signature``."""
        return dict(self.task.serving_signature())

    def answer(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """See ``Task.serve``."""
        answers = self.task.serve(self.model, **inputs)
        numbers = {name: value for name, value in answers.items() if value.dtype != tf.string}
        if not numbers:
            raise UserError(
                f"the task {self.task.name!r} returns strings alone ({', '.join(answers)}), which LiteRT does not have;"
                " use --format saved_model"
            )
        return numbers

    def sample(self, generator: np.random.Generator, count: int, number: int) -> Arrays:  # noqa: ARG002
        """See ``Task.serving_sample``."""
        return self.task.serving_sample(count, seed=number)
