"""The files of a LiteRT export."""

from pathlib import Path
from typing import Any

import tensorflow as tf

from tfdl import __version__
from tfdl.data.tokenizers.file import FILE_NAME as TOKENIZER
from tfdl.export.litert.conversion import LiteRTGraph
from tfdl.export.litert.functions import LiteRTFunction
from tfdl.runs.atomic import write_json, write_text
from tfdl.tasks.language_modeling import LanguageModeling
from tfdl.tasks.task import Task, TextTask
from tfdl.tasks.text_classification import TextClassification

MODEL = "model.tflite"
DESCRIPTION = "litert.json"
LABELS = "labels.txt"
_VERSION = "tfdl_version"


def is_export(folder: Path) -> bool:
    """Whether a folder has a LiteRT export, and nothing else.

    Args:
        folder: any folder.
    """
    found = list(folder.iterdir())
    if any(path.is_symlink() or not path.is_file() for path in found):
        return False
    names = {path.name for path in found}
    return {MODEL, DESCRIPTION} <= names <= {MODEL, DESCRIPTION, LABELS, TOKENIZER}


def write_description(folder: Path, graph: LiteRTGraph, function: LiteRTFunction, precision: str) -> None:
    """Writes what the user of a model must know: classes or tokenizer, and what it takes and returns.

    Args:
        folder: of the model.
        graph: that the model was converted from.
        function: what the model computes.
        precision: of the weights.
    """
    task = function.task
    if task.class_names:
        write_text(folder / LABELS, "".join(f"{' '.join(name.splitlines())}\n" for name in task.class_names))
    if isinstance(task, TextTask):
        task.tokenizer.save(folder)
    description = {
        _VERSION: __version__,
        "format": "litert",
        "task": task.name,
        "precision": precision,
        "takes": _described(graph.inputs),
        "returns": _described(graph.outputs),
        **_text_rules(task),
    }
    write_json(folder / DESCRIPTION, description)


def _described(tensors: dict[str, tf.TensorSpec]) -> dict[str, Any]:
    """dtype and shape by name; null stands for any size."""
    return {name: {"dtype": spec.dtype.name, "shape": spec.shape.as_list()} for name, spec in tensors.items()}


def _text_rules(task: Task) -> dict[str, Any]:
    """How a text's tokens become the model's input."""
    if isinstance(task, LanguageModeling):
        return {"text": {"before": task.begin_id, "longest": None if task.carries_state else task.sequence_length}}
    if isinstance(task, TextClassification):
        frame = task.frame
        return {
            "text": {
                "before": frame.before,
                "after": frame.after,
                "longest": frame.longest,
                "padding": 0,
            }
        }
    return {}
