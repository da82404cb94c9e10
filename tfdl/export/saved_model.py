"""Writes a SavedModel, and keeps it only if it gives the model's answers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.distributed import current_world
from tfdl.errors import RunError, UserError
from tfdl.export.parity import answers_of_saved_model
from tfdl.layers.cudnn import portable_kernels
from tfdl.runs import RunDirectory, load_run
from tfdl.runs.atomic import new_folder

# The process that loads the SavedModel fuses other kernels. Float32 answers then agree to about this.
_TOLERANCE = 1e-4
# The number of random samples that are compared.
_COMPARED = 64

Signature = dict[str, tuple[str, str]]
"""Name -> dtype and shape, such as ``("float32", "(any, 10)")``."""


@dataclass(frozen=True)
class Exported:
    """A SavedModel that was written, and its largest difference from the model."""

    path: Path
    """The folder of this version."""
    inputs: Signature
    outputs: Signature
    largest_difference: float
    """The largest difference between the SavedModel's answers in a clean process and the model's, over ``compared``
    random samples. It is relative to the answer where that is larger than 1."""
    compared: int
    """The number of samples that were compared."""


def export_saved_model(run: str | Path | RunDirectory, directory: str | Path, checkpoint: str = "last") -> Exported:
    """Writes ``directory/<next number>`` with the signature ``serving_default``.

    The folder is made only if the SavedModel, loaded by a process that has neither tfdl nor Horovod on its path, gives
    the model's answers. A run in mixed precision is written in float32, the precision of its weights. Its answers are
    then more exact, and the same on every machine.

    Args:
        run: a run directory.
        directory: the folder of all versions; made if it does not exist.
        checkpoint: the weights to use: ``last``, ``best`` or a folder's name.

    Raises:
        UserError: there is no such run or checkpoint, the directory cannot be used, or this rank is not rank 0.
        RunError: the SavedModel's answers differ from the model's.
    """
    world = current_world()
    if not world.is_chief:
        raise UserError(
            f"export_saved_model on rank {world.rank} of {world.size}, expected rank 0 only, as all ranks would write"
            " one directory; call it under: if tfdl.distributed.current_world().is_chief:"
        )
    config = RunDirectory.open(run).read_config()
    precision = "float64" if config.precision == "float64" else "float32"
    loaded = load_run(run, checkpoint, precision=precision, merged=True)
    target = _next_version(Path(directory))
    module, serve = _servable(loaded.model, loaded.task)
    sample = loaded.task.serving_sample(_COMPARED)
    answers = loaded.task.serve(loaded.model, **{name: tf.constant(value) for name, value in sample.items()})
    expected = {name: np.asarray(value) for name, value in answers.items()}
    with new_folder(target) as unfinished:
        tf.saved_model.save(module, str(unfinished), signatures={"serving_default": serve})
        difference = _largest_difference(expected, answers_of_saved_model(unfinished, sample))
        if not difference <= _TOLERANCE:  # also for NaN
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
    """Returns a module that tracks the weights and all lookup tables, and the function of ``serving_default``."""
    module = tf.Module()
    module.model_variables = [variable.value for variable in model.variables]
    module.tracked = task.tracked
    module.tables = [
        value
        for layer in model._flatten_layers()
        for value in vars(layer).values()
        if isinstance(value, tf.saved_model.experimental.TrackableResource)
    ]
    signature = task.serving_signature()
    serve = tf.function(lambda **inputs: task.serve(model, **inputs), autograph=False)
    with portable_kernels():  # the graph may be loaded on a machine without a GPU
        return module, serve.get_concrete_function(**signature)


def _next_version(directory: Path) -> Path:
    """The folder whose number follows the highest one in the directory."""
    if directory.exists() and not directory.is_dir():
        raise UserError(f"{str(directory)!r} is a file, expected a directory for the exported versions")
    numbers = [int(path.name) for path in directory.glob("*") if path.name.isdigit()]
    return directory / str(max(numbers, default=0) + 1)


def _largest_difference(expected: dict[str, np.ndarray], answers: dict[str, np.ndarray]) -> float:
    """The largest difference between two sets of outputs.

    Differences of real numbers are relative to the expected value where that is larger than 1. A missing output, an
    output of another shape, and a label or integer that differs count as infinite.
    """
    if expected.keys() != answers.keys():
        return float("inf")
    largest = 0.0
    for name, expected_values in expected.items():
        values = answers[name]
        if expected_values.dtype.kind == "f" and expected_values.shape == values.shape:
            differences = np.abs(expected_values - values) / np.maximum(1, np.abs(expected_values))
            difference = float(differences.max())
            if not np.isfinite(difference):
                return float("inf")
            largest = max(largest, difference)
            continue
        if expected_values.dtype == object:  # strings, which NumPy's files store as bytes
            expected_values = expected_values.astype("S")
        if not np.array_equal(expected_values, values):
            return float("inf")
    return largest


def _shape(shape: Any) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"
