"""Chooses the evaluator of a task."""

from typing import Any

from tfdl.evaluation.carried_state_evaluator import CarriedStateEvaluator
from tfdl.evaluation.decoding_evaluator import DecodingEvaluator
from tfdl.evaluation.evaluator import BatchEvaluator, Evaluator
from tfdl.tasks.task import DecodingTask, Task


def evaluator_for(model: Any, task: Task) -> Evaluator:
    """Returns the evaluator that a task needs. Make one for a model and use it for every evaluation.

    Args:
        model: the model.
        task: the model's task.
    """
    if task.carries_state:
        return CarriedStateEvaluator(model, task)
    if isinstance(task, DecodingTask):
        return DecodingEvaluator(model, task)
    return BatchEvaluator(model, task)
