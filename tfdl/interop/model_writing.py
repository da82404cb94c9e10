"""The files of a folder that transformers reads."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfdl import __version__
from tfdl.interop.architectures.base import Architecture
from tfdl.interop.images import write_preprocessing
from tfdl.interop.model_folder import CONFIG, PREPROCESSING, WEIGHTS, WRITTEN_BY
from tfdl.interop.tokenizer_writing import write_tokenizer
from tfdl.interop.weights import WeightTable
from tfdl.runs.atomic import write_json
from tfdl.runs.load import LoadedRun
from tfdl.tasks.image_classification import ImageClassification
from tfdl.tasks.language_modeling import LanguageModeling
from tfdl.tasks.task import Task
from tfdl.tasks.text_classification import TextClassification

# Task -> the class of transformers that loads any model of it.
_AUTO_CLASSES = {
    "language-modeling": "AutoModelForCausalLM",
    "text-classification": "AutoModelForSequenceClassification",
    "image-classification": "AutoModelForImageClassification",
}
_IMAGE_PROCESSOR = "ViTImageProcessor"


@dataclass(frozen=True)
class WrittenModel:
    """What transformers calls a model that was written."""

    model_class: str
    """The class that the files name."""
    auto_class: str
    """The class that loads it."""
    notes: tuple[str, ...]
    """What the user should know."""


def write_model(folder: Path, loaded: LoadedRun, architecture: Architecture) -> WrittenModel:
    """Writes config.json, model.safetensors, and the files of tokenizer or preprocessor.

    Weights are written in float32, one tensor after the other.

    Args:
        folder: an existing empty folder.
        loaded: the run, without updates of low rank.
        architecture: that has the model's computation.

    Raises:
        UserError: the architecture has no such inputs.
    """
    config = loaded.config
    task = loaded.task
    data = {**task.model_arguments, "class_names": task.class_names}
    values = {
        "architectures": [architecture.classes[0]],
        "model_type": architecture.model_type,
        "dtype": "float32",
        WRITTEN_BY: __version__,
        **architecture.write(config.model, data),
        **_token_ids(task),
    }
    write_json(folder / CONFIG, values)
    WeightTable(architecture, config.model).save(folder / WEIGHTS, loaded.model)
    notes = _write_inputs(folder, task)
    return WrittenModel(architecture.classes[0], _AUTO_CLASSES[config.task], notes)


def _token_ids(task: Task) -> dict[str, Any]:
    if not isinstance(task, LanguageModeling):
        return {}
    tokenizer = task.tokenizer
    return {
        "bos_token_id": tokenizer.start_id,
        "eos_token_id": tokenizer.end_id,
        "pad_token_id": tokenizer.pad_id,
    }


def _write_inputs(folder: Path, task: Task) -> tuple[str, ...]:
    """Writes what turns texts or images into inputs, and returns lines to show."""
    if isinstance(task, ImageClassification):
        write_json(folder / PREPROCESSING, write_preprocessing(task.scaling, task.image_shape, _IMAGE_PROCESSOR))
        return ()
    if isinstance(task, LanguageModeling):
        longest = task.sequence_length
        adds_start = task.begins_with_start
        adds_end = False
    else:
        assert isinstance(task, TextClassification)
        longest = task.longest
        adds_start = True
        adds_end = task.has_end
    tokenizer = task.tokenizer
    if write_tokenizer(folder, tokenizer, longest, adds_start=adds_start, adds_end=adds_end):
        return ()
    return (f"transformers has no counterpart of the tokenizer {tokenizer.name}: the folder takes token numbers",)
