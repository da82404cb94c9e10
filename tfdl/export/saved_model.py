"""Writes a SavedModel, and compares it with the model before anyone relies on it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.errors import RunError, UserError
from tfdl.export.parity import answers_of_saved_model
from tfdl.layers.cudnn import portable_kernels
from tfdl.runs import RunDirectory, load_run
from tfdl.runs.atomic import new_folder

# Graphs are rebuilt by another process with other kernels fused; float32 answers agree to about this.
_TOLERANCE = 1e-4
_COMPARED = 64

Signature = dict[str, tuple[str, str]]


@dataclass(frozen=True)
class Exported:
    """What was written, and how it compares."""

    path: Path
    inputs: Signature
    """Name of each input, with its dtype and shape."""
    outputs: Signature
    largest_difference: float
    """Between the SavedModel's answers in a clean process and the model's, over ``compared`` random samples; of numbers
    larger than 1, as a share of them."""
    compared: int


def export_saved_model(run: str | Path | RunDirectory, directory: str | Path, checkpoint: str = "last") -> Exported:
    """Writes ``directory/<next number>`` with the signature ``serving_default``.

    The folder appears only when the SavedModel, loaded by a process that has neither tfdl nor Horovod on its path,
    gives the model's answers. A run in mixed precision is written in float32, as its weights are: the answers are the
    more exact ones, and the same on every machine.

    Args:
        run: a run directory.
        directory: the folder of all versions, made if it is missing.
        checkpoint: which weights (``last``, ``best`` or a folder's name).

    Raises:
        UserError: not a run directory, no such checkpoint, or a directory that cannot be used.
        RunError: the SavedModel does not answer as the model does.
    """
    config = RunDirectory.open(run).read_config()
    loaded = load_run(run, checkpoint, precision="float64" if config.precision == "float64" else "float32")
    target = _next_version(Path(directory))
    module, serve = _servable(loaded.model, loaded.task)
    sample = loaded.task.serving_sample(_COMPARED)
    answers = loaded.task.serve(loaded.model, **{name: tf.constant(value) for name, value in sample.items()})
    expected = {name: np.asarray(value) for name, value in answers.items()}
    with new_folder(target) as aside:
        tf.saved_model.save(module, str(aside), signatures={"serving_default": serve})
        difference = _largest_difference(expected, answers_of_saved_model(aside, sample))
        if not difference <= _TOLERANCE:
            raise RunError(
                f"the SavedModel differs from the model by {difference:.3g}, expected at most {_TOLERANCE:g}; nothing"
                " was written"
            )
    return Exported(
        path=target,
        inputs={name: (spec.dtype.name, _shape(spec.shape)) for name, spec in loaded.task.serving_signature().items()},
        outputs={name: (value.dtype.name, _shape(value.shape)) for name, value in serve.structured_outputs.items()},
        largest_difference=difference,
        compared=_COMPARED,
    )


def _servable(model: Any, task: Any) -> tuple[tf.Module, Any]:
    """A module that holds the weights and the task's tables, and the concrete function that serves."""
    module = tf.Module()
    module.model_variables = [variable.value for variable in model.variables]
    module.tracked = task.tracked
    signature = task.serving_signature()
    serve = tf.function(lambda **inputs: task.serve(model, **inputs))
    with portable_kernels():  # the graph may be loaded where there is no GPU
        return module, serve.get_concrete_function(**signature)


def _next_version(directory: Path) -> Path:
    if directory.exists() and not directory.is_dir():
        raise UserError(f"{str(directory)!r} is a file, expected a directory for the exported versions")
    numbers = [int(path.name) for path in directory.glob("*") if path.name.isdigit()] if directory.is_dir() else []
    return directory / str(max(numbers, default=0) + 1)


def _largest_difference(expected: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> float:
    """Over the outputs that are real numbers, as a share of those that are larger than 1; a missing output, or a label
    that differs, counts as infinite."""
    if expected.keys() != found.keys():
        return float("inf")
    largest = 0.0
    for name, value in expected.items():
        if value.dtype.kind == "f" and value.shape == found[name].shape:
            difference = float((np.abs(value - found[name]) / np.maximum(1, np.abs(value))).max())
            largest = max(largest, difference) if np.isfinite(difference) else float("inf")
        elif not np.array_equal(value.astype("S") if value.dtype == object else value, found[name]):
            return float("inf")
    return largest


def _shape(shape: Any) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"
