"""Opens the inputs of a task: what the user named on a command line, or objects of Python code."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfdl.data.images import CURRENT_RULES
from tfdl.data.records.image_columns import IMAGE
from tfdl.errors import UserError
from tfdl.inference.inputs.arrays import array_items, items_of_arrays
from tfdl.inference.inputs.images import image_items, image_loader
from tfdl.inference.inputs.options import InputOptions
from tfdl.inference.inputs.texts import checked_text, text_items
from tfdl.inference.items import BadItem, Item

_TEXT_ROLES = ("text", "source")


@dataclass(frozen=True)
class Inputs:
    """Items, and how their values are read."""

    items: Iterable[Item | BadItem]
    load: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict


def open_inputs(
    task: Any, arguments: Sequence[str], options: InputOptions | None = None, texts: Sequence[str] = ()
) -> Inputs:
    """The inputs that the user named: files, folders, patterns, texts, or ``-`` for standard input.

    Args:
        task: of the run.
        arguments: what the user named.
        options: how files are read.
        texts: inputs that are texts, whatever they look like.

    Raises:
        UserError: no such file, or one that has no inputs of this task; texts for a task that reads none.
    """
    options = options or InputOptions()
    role = task.prediction().role
    for name in options.kept:
        if name in ("input", role):
            raise UserError(f"--keep-column {name!r} is also a name in the output; rename the column, or leave it out")
    if texts and role not in _TEXT_ROLES:
        raise UserError(f"--text {texts[0]!r}, but the task {task.name!r} reads no texts; give files")
    if role == IMAGE:
        rules, load = _image_reading(task)
        return Inputs(image_items(arguments, rules, options), load)
    if role in _TEXT_ROLES:
        return Inputs(text_items(arguments, texts, role, options))
    return Inputs(array_items(arguments, task.serving_signature(), options))


def inputs_of_objects(task: Any, inputs: Any) -> Inputs:
    """Inputs of Python code.

    Args:
        task: of the run.
        inputs: of images: arrays, paths, or contents of files; of texts: strings, or paths of files; of other tasks:
            an array, or arrays by input name. One input, or a sequence.

    Raises:
        UserError: objects of other kinds.
    """
    role = task.prediction().role
    if role and isinstance(inputs, Mapping):
        if set(inputs) != {role}:
            raise UserError(f"inputs by the names {', '.join(map(str, inputs))}, expected {role}")
        inputs = inputs[role]
    if role in _TEXT_ROLES:
        return Inputs(_text_objects(_as_sequence(inputs, str | Path), role))
    if role == IMAGE:
        rules, load = _image_reading(task)
        return Inputs(_image_objects(_as_sequence(inputs, str | Path | bytes), rules), load)
    signature = task.serving_signature()
    if not isinstance(inputs, Mapping):
        if len(signature) > 1:
            raise UserError(f"one array, expected a mapping of {', '.join(signature)} to arrays")
        inputs = {next(iter(signature)): np.asarray(inputs)}
    return Inputs(items_of_arrays("", inputs, signature))


def _image_reading(task: Any) -> tuple[int, Any]:
    rules = getattr(task, "image_rules", CURRENT_RULES)
    channels = task.prediction().signature[IMAGE].shape[-1]
    return rules, image_loader(rules, channels)


def _as_sequence(inputs: Any, single: Any) -> Iterable[Any]:
    is_image = isinstance(inputs, np.ndarray) and inputs.ndim == 3
    is_one = isinstance(inputs, single) or is_image or not isinstance(inputs, Iterable)
    return [inputs] if is_one else inputs


def _text_objects(inputs: Iterable[Any], role: str) -> Iterator[Item | BadItem]:
    for value in inputs:
        if isinstance(value, Path):
            yield from text_items([os.path.join(".", value)], (), role, InputOptions())  # also one that does not exist
        elif isinstance(value, str):
            yield checked_text("", value, role, "utf-8", {})
        else:
            raise UserError(f"a text of type {type(value).__name__}, expected str, or the Path of a file")


def _image_objects(inputs: Iterable[Any], rules: int) -> Iterator[Item | BadItem]:
    for value in inputs:
        if isinstance(value, str | Path):
            yield from image_items([str(value)], rules, InputOptions())
        elif isinstance(value, bytes):
            yield Item("", {IMAGE: value})
        else:
            yield Item("", {IMAGE: _pixels(value)})


def _pixels(value: Any) -> np.ndarray:
    if isinstance(value, np.ndarray):
        return value
    try:
        return np.asarray(value)  # such as an image of Pillow, or a tensor
    except (TypeError, ValueError) as error:
        raise UserError(
            f"an image of type {type(value).__name__}, expected an array (h, w, c), a path, or the bytes of a file"
        ) from error
