"""The task of an imported run: tokenizer or images, class names, and what its configuration names."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tfdl.config import ModelConfig
from tfdl.errors import UserError
from tfdl.interop.architectures.base import Architecture, Description
from tfdl.interop.images import read_scaling, read_size
from tfdl.interop.model_folder import PREPROCESSING, ModelFolder
from tfdl.interop.tokenizers import ReadTokenizer, read_tokenizer
from tfdl.tasks.image_classification import ImageClassification
from tfdl.tasks.language_modeling import LanguageModeling
from tfdl.tasks.task import Task
from tfdl.tasks.text_classification import TextClassification

# Logits of longer windows take much memory, and attention takes time.
_LONGEST_WINDOW = 1024


@dataclass(frozen=True)
class TaskParts:
    """What a run needs besides the weights."""

    task: Task
    model: ModelConfig
    dataset: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the section ``dataset``."""
    tokenizer: Mapping[str, Any] | None = None
    """The section ``tokenizer``."""
    notes: tuple[str, ...] = ()


def read_task(
    architecture: Architecture, description: Description, files: ModelFolder, sequence_length: int | None
) -> TaskParts:
    """Makes the task of a published model.

    Args:
        architecture: of the model.
        description: of the model.
        files: of the model.
        sequence_length: most tokens of a sample, or none.

    Raises:
        UserError: a tokenizer or a preprocessor that cannot be used, or more tokens than the model has positions.
    """
    if architecture.task == "image-classification":
        return _read_images(description, files, sequence_length)
    pads_with_0 = architecture.task == "text-classification"
    vocab_size = description.data["vocab_size"]
    read = read_tokenizer(files.path, architecture.model_type, vocab_size, _end_id(files), pads_with_0)
    positions = description.model.sequence_length  # type: ignore[attr-defined]
    if sequence_length is not None:
        description.model.check_length("--sequence-length", sequence_length)
    if pads_with_0:
        return _read_classification(description, read, sequence_length or positions)
    return _read_language(description, read, sequence_length or min(positions, _LONGEST_WINDOW), positions)


def _end_id(files: ModelFolder) -> int | None:
    """The end token that config.json names; the first if there are several."""
    number = files.config.get("eos_token_id")
    if isinstance(number, list) and number:
        number = number[0]
    return number if type(number) is int and number >= 0 else None


def _read_language(description: Description, read: ReadTokenizer, longest: int, positions: int) -> TaskParts:
    notes = []
    if longest < positions:
        notes.append(f"evaluation reads {longest:,} of {positions:,} positions at a time (--sequence-length)")
    return TaskParts(
        LanguageModeling(read.tokenizer, longest, begins_with_start=read.adds_start),
        description.model,
        dataset={"sequence_length": longest},
        tokenizer=read.config,
        notes=tuple(notes),
    )


def _read_classification(description: Description, read: ReadTokenizer, longest: int) -> TaskParts:
    if longest < 2:
        raise UserError(f"--sequence-length {longest}, expected at least 2: a text has a start and an end token")
    tokenizer = read.tokenizer
    # A text's segment ends with its end token.
    model: Any = dataclasses.replace(description.model, separator_id=tokenizer.end_id)  # type: ignore[call-arg]
    task = TextClassification(tokenizer, tuple(description.data["class_names"]), longest, has_end=read.adds_end)
    return TaskParts(task, model, dataset={"sequence_length": longest}, tokenizer=read.config)


def _read_images(description: Description, files: ModelFolder, sequence_length: int | None) -> TaskParts:
    if sequence_length is not None:
        raise UserError(f"--sequence-length {sequence_length}, expected none: the model reads images")
    values = files.optional_json(PREPROCESSING) or files.config.get("pretrained_cfg") or {}
    if not isinstance(values, dict):
        raise UserError(f'pretrained_cfg={values!r}, expected an object such as {{"mean": [0.5, 0.5, 0.5]}}')
    height, width, channels = description.data["input_shape"]
    # A network of convolutions takes any size; a Transformer has positions for its own.
    has_own_size = hasattr(description.model, "patch_size")
    height, width = (height, width) if has_own_size else read_size(values) or (height, width)
    task = ImageClassification(
        (height, width, channels),
        tuple(description.data["class_names"]),
        resized=True,
        scaling=read_scaling(values, channels),
    )
    notes = ["images are resized to the model's size as a whole, without cropping"]
    if not values:
        notes.append(f"there is no {PREPROCESSING}: pixel values go from 0 to 1, without mean and deviation")
    return TaskParts(task, description.model, dataset={"image_size": [height, width]}, notes=tuple(notes))
