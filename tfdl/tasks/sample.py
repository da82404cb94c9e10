"""Calls a model of the user on a sample of its task."""

from typing import Any

import tensorflow as tf

from tfdl.errors import UserError
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
    except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
        shapes = ", ".join(f"{name} of shape {tuple(value.shape[1:])}" for name, value in sample.items())
        reason = " ".join(str(error).split())
        raise UserError(f"the model cannot be called with a sample of the data ({shapes}): {reason[:300]}") from error
