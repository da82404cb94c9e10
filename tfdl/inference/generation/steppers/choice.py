"""Chooses the stepper of a model."""

from typing import Any

from tfdl.errors import UserError
from tfdl.inference.generation.steppers.cached import CachedStepper, TranslationStepper
from tfdl.inference.generation.steppers.recurrent import RecurrentStepper
from tfdl.inference.generation.steppers.stepper import LanguageStepper, Stepper
from tfdl.inference.generation.steppers.whole_pass import WholePassStepper
from tfdl.tasks.language_modeling import LanguageModeling
from tfdl.tasks.task import Task
from tfdl.tasks.translation import Translation


def stepper_for(model: Any, task: Task) -> Stepper:
    """Returns the stepper of a model that writes texts.

    Args:
        model: the model.
        task: the model's task.

    Raises:
        UserError: a model of a task that writes no text.
    """
    if isinstance(task, Translation):
        return TranslationStepper(model, task.tokenizer.start_id, task.longest_written)
    if not isinstance(task, LanguageModeling):
        raise UserError(
            f"a model of the task {task.name} writes no text, expected one of language-modeling or translation"
        )
    return language_stepper_for(model, task)


def language_stepper_for(model: Any, task: LanguageModeling) -> LanguageStepper:
    """Returns the stepper of a language model.

    Args:
        model: the model.
        task: the model's task.
    """
    if hasattr(model, "with_state") and hasattr(model, "initial_state"):
        return RecurrentStepper(model)
    if hasattr(model, "initial_cache") and hasattr(model, "decode"):
        return CachedStepper(model)
    return WholePassStepper(model, task.sequence_length)
