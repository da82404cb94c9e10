"""The evaluator that fits a task."""

from typing import Any

from tfdl.evaluation.carried_state_evaluator import CarriedStateEvaluator
from tfdl.evaluation.decoding_evaluator import DecodingEvaluator
from tfdl.evaluation.evaluator import BatchEvaluator, Evaluator
from tfdl.tasks.task import DecodingTask, Task


def evaluator_for(model: Any, task: Task) -> Evaluator:
    """Evaluates a model in the way that its task needs; make one for a model and use it for every evaluation.

    Args:
        model: the model.
        task: what it is trained for.
    """
    if task.carries_state:
        return CarriedStateEvaluator(model, task)
    if isinstance(task, DecodingTask):
        return DecodingEvaluator(model, task)
    return BatchEvaluator(model, task)
