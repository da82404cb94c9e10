"""The tasks whose models an export knows how to ask."""

from typing import Any

from tfdl.tasks.image_classification import ImageClassification
from tfdl.tasks.language_modeling import LanguageModeling
from tfdl.tasks.task import Batch, Task
from tfdl.tasks.text_classification import TextClassification
from tfdl.tasks.translation import Translation

IMAGE = "image"
TOKEN_IDS = "token_ids"
SOURCE = "source"
LOGITS = "logits"
PROBABILITIES = "probabilities"
KNOWN_TASKS: tuple[type[Task], ...] = (ImageClassification, TextClassification, LanguageModeling, Translation)


def known_task(task: Task) -> type[Task] | None:
    """The task of tfdl as which a task is served; None if it serves something else, as a derived task may.

    Args:
        task: of a run.
    """
    for known in KNOWN_TASKS:
        if getattr(type(task), "serve", None) is known.serve:
            return known
    return None


def inputs_of_batch(task: Task, batch: Batch) -> dict[str, Any]:
    """A batch of a split as the inputs of a model that takes no strings.

    Args:
        task: served as one of ``KNOWN_TASKS``.
        batch: features by name.
    """
    known = known_task(task)
    if known is ImageClassification:
        return {IMAGE: batch[IMAGE]}
    if known is Translation:
        return {SOURCE: batch[SOURCE]}
    return {TOKEN_IDS: task.inputs(batch)}
