"""The cost of a run's model."""

from typing import Any

import tensorflow as tf

from tfdl.errors import RunError
from tfdl.inspection import step_cost
from tfdl.tasks.task import Task


def training_flops(model: Any, task: Task) -> int | None:
    """Counts what training on one sample costs, for texts on one of the greatest length.

    Args:
        model: the built model.
        task: its task.

    Returns:
        Multiplications and additions of the forward and the backward pass; None if the graph cannot be counted.
    """
    longest = getattr(task, "sequence_length", None) or getattr(task, "longest", None)
    specs = []
    for model_input in getattr(model, "inputs", None) or ():
        shape = [longest if size is None else size for size in model_input.shape[1:]]
        if None in shape:
            return None
        specs.append(tf.TensorSpec([1, *shape], model_input.dtype))
    if not specs:
        return None
    try:
        return step_cost(model, specs).training_flops or None
    except (RunError, ValueError, TypeError, tf.errors.OpError):
        return None  # a model of the user may have any graph
