"""Chooses what a LiteRT file of a run computes, or refuses with the reason."""

from typing import Any

from tfdl.errors import UserError
from tfdl.export.known_tasks import known_task
from tfdl.export.litert.functions import ImageFunction, LanguageFunction, LiteRTFunction, TextFunction
from tfdl.export.litert.recurrent_function import RecurrentLanguageFunction
from tfdl.export.litert.served_function import ServedFunction
from tfdl.tasks.image_classification import ImageClassification
from tfdl.tasks.language_modeling import LanguageModeling
from tfdl.tasks.task import DecodingTask, Task
from tfdl.tasks.text_classification import TextClassification


def function_for(model: Any, task: Task) -> LiteRTFunction:
    """What the file of a run computes.

    Args:
        model: the model.
        task: its task.

    Raises:
        UserError: LiteRT cannot compute it.
    """
    if isinstance(task, DecodingTask):
        raise UserError(
            f"a model of {task.name} writes texts in a loop whose length is not known, which LiteRT does not have"
            " (TensorListReserve without a size); use --format saved_model"
        )
    known = known_task(task)
    if known is ImageClassification:
        return ImageFunction(model, task)
    if known is TextClassification:
        return TextFunction(model, task)
    if known is LanguageModeling:
        return RecurrentLanguageFunction(model, task) if task.carries_state else LanguageFunction(model, task)
    return ServedFunction(model, task)
