"""Calls a model of the user on a sample of its task."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfdl.errors import UserError, in_one_line
from tfdl.tasks.task import Task


def build_on_sample(model: Any, task: Task, count: int = 1) -> dict[str, Any]:
    """Calls a model on random samples, so that all of its layers are built.

    Args:
        model: a ``keras.Model``.
        task: the task, which makes the samples.
        count: the number of samples.

    Returns:
        What the task serves.

    Raises:
        UserError: the model cannot be called with such a sample.
    """
    sample = {name: tf.constant(value) for name, value in task.serving_sample(count).items()}
    try:
        return task.serve(model, **sample)
    except UserError:
        raise
    except (ValueError, TypeError, KeyError, tf.errors.InvalidArgumentError) as error:
        reason = in_one_line(f"{type(error).__name__}: {error}")
        raise UserError(
            f"the model cannot be called with a sample of the data ({_described(task, sample)}): {reason}"
        ) from error


def _described(task: Task, sample: Mapping[str, Any]) -> str:
    """What a model must fit: a task's data arguments, since it may resize raw data, else the shapes of a sample."""
    arguments = task.model_arguments
    if arguments:
        return ", ".join(f"{name}={value}" for name, value in arguments.items())
    return ", ".join(f"{name} of shape {tuple(value.shape[1:])}" for name, value in sample.items())
