"""The numbers that a task of the user takes and returns, for formats that have no strings."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.errors import UserError
from tfdl.export.parity import Arrays
from tfdl.export.tensors import Axes
from tfdl.tasks.task import Task

BATCH = "batch"
"""The name of the axis of the samples."""


def check_numbers(inputs: Mapping[str, tf.TensorSpec], task: Task) -> None:
    """Checks that a task takes no strings.

    Args:
        inputs: by name.
        task: of the user.

    Raises:
        UserError: it takes some.
    """
    texts = [name for name, spec in inputs.items() if spec.dtype == tf.string]
    if texts:
        raise UserError(
            f"the task {task.name!r} takes strings ({', '.join(texts)}), which this format does not have; export it as"
            " saved_model"
        )


def numbers_of(answers: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """What a task answers, without strings.

    Args:
        answers: tensors by name.
        task: of the user.

    Raises:
        UserError: it answers nothing else, or the number of an answer's axes is not known.
    """
    tensors = {name: tf.convert_to_tensor(value) for name, value in answers.items()}
    numbers = {name: tensor for name, tensor in tensors.items() if tensor.dtype != tf.string}
    if not numbers:
        raise UserError(
            f"the task {task.name!r} returns strings alone ({', '.join(answers)}), which this format does not have;"
            " export it as saved_model"
        )
    for name, tensor in numbers.items():
        if tensor.shape.rank is None:
            raise UserError(
                f"the task {task.name!r} returns {name!r} with an unknown number of axes, expected a known one; set it"
                " in the task's serve with tf.ensure_shape, or export it as saved_model"
            )
    return numbers


def named_axes(name: str, shape: Any) -> Axes:
    """The axes of a tensor of the user; those of any size get names. The first one is then that of the samples.

    Args:
        name: of the tensor.
        shape: its ``tf.TensorShape``. A scalar has no axes.
    """
    axes = [f"{name}_{axis}" if size is None else size for axis, size in enumerate(shape)]
    if axes and shape[0] is None:
        axes[0] = BATCH
    return tuple(axes)


def as_arrays(values: Mapping[str, Any]) -> Arrays:
    """Arrays by name.

    Args:
        values: what becomes arrays, such as tensors and numbers, by name.
    """
    return {name: np.asarray(value) for name, value in values.items()}


def num_rows(inputs: Arrays) -> int:
    """The number of samples in a set of inputs, some of which may be scalars.

    Args:
        inputs: by name.
    """
    return max((len(array) for array in inputs.values() if array.ndim), default=1)
