"""Chooses what is shown of a task's validations."""

from typing import Any

from tfdl.tasks.image_classification import ImageClassification
from tfdl.tasks.language_modeling import LanguageModeling
from tfdl.tasks.task import DecodingTask, Task
from tfdl.tasks.text_classification import TextClassification
from tfdl.training.samples.class_samples import ImageSamples, TextClassSamples
from tfdl.training.samples.translation_samples import TranslationSamples
from tfdl.training.samples.validation_samples import NoSamples, ValidationSamples


def samples_of(model: Any, task: Task, source: Any) -> ValidationSamples:
    """What can be shown of a task's validations.

    Args:
        model: the model in training.
        task: its task.
        source: the validation split.
    """
    if isinstance(task, ImageClassification):
        return ImageSamples(task, source)
    if isinstance(task, TextClassification):
        return TextClassSamples(task, source)
    if isinstance(task, LanguageModeling):
        from tfdl.training.samples.written_texts import WrittenTexts  # other runs need no generator

        return WrittenTexts(model, task, source)
    if isinstance(task, DecodingTask):
        return TranslationSamples()
    return NoSamples()
