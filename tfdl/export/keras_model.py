"""Writes one ``.keras`` file of Keras's own layers, and keeps it only if it gives the model's answers."""

from dataclasses import dataclass
from pathlib import Path

import keras

from tfdl.config import ExportReport, ExportRequest
from tfdl.errors import RunError, UserError
from tfdl.export.differences import largest_difference
from tfdl.export.export_folder import describe, size_of, target_folder, write_beside
from tfdl.export.float32_run import load_float32
from tfdl.export.parity import answers_in_clean_process
from tfdl.export.plain_keras.foreign_classes import foreign_classes
from tfdl.export.plain_keras.task_model import TaskModel, task_model
from tfdl.export.rank_zero import check_rank_zero
from tfdl.runs import RunDirectory
from tfdl.runs.atomic import new_folder

FORMAT = "keras"
MODEL = "model.keras"
# As for SavedModels: the process that loads the file may fuse other kernels.
_TOLERANCE = 1e-4
_PROGRAM = """\
import keras
model = keras.models.load_model(arguments[0])
for case, named in inputs.items():
    outputs = model(named if len(named) > 1 else next(iter(named.values())), training=False)
    answers[case] = {str(number): numpy.asarray(value) for number, value in enumerate(keras.tree.flatten(outputs))}
"""


@dataclass(frozen=True)
class KerasExport:
    """A Keras model that was written, and its largest difference from the run's model."""

    path: Path
    """The folder, with ``model.keras`` in it."""
    inputs: dict[str, str]
    """Name -> dtype and shape."""
    outputs: dict[str, str]
    files: tuple[str, ...]
    size: int
    """Bytes of ``model.keras``."""
    largest_difference: float
    """As for ``tfdl.export_saved_model``, from the run's model in float32."""
    compared: int
    """The number of samples that were compared."""
    notes: tuple[str, ...] = ()


def export_keras(
    run: str | Path | RunDirectory, directory: str | Path, checkpoint: str = "last", *, overwrite: bool = False
) -> KerasExport:
    """Writes ``directory/model.keras``, which ``keras.models.load_model`` loads without tfdl.

    tfdl's layers become Keras's own with the same weights, in float32. A classifier of images takes raw pixels, and
    classifiers return probabilities.

    Args:
        run: a run directory.
        directory: a new or empty folder.
        checkpoint: the weights to use: ``last``, ``best`` or a folder's name.
        overwrite: whether to replace an earlier export.

    Raises:
        UserError: there is no such run or checkpoint, the directory is not free, the model has a class that Keras does
            not have, or this rank is not rank 0.
        RunError: the file's answers differ from the model's.
    """
    check_rank_zero("export_keras")
    target = target_folder(directory, FORMAT, MODEL, overwrite=overwrite)
    loaded = load_float32(run, checkpoint)
    plain = task_model(loaded.model, loaded.task)
    _check_classes(plain.model)
    with new_folder(target, replace=overwrite) as unfinished:
        plain.model.save(unfinished / MODEL)
        difference = _checked_difference(unfinished / MODEL, plain)
        described = describe(loaded.task) | {"takes": plain.inputs, "returns": plain.outputs}
        notes = write_beside(unfinished, FORMAT, loaded.task, described)
        files = tuple(sorted(path.name for path in unfinished.iterdir()))
        size = (unfinished / MODEL).stat().st_size
        target_folder(directory, FORMAT, MODEL, overwrite=overwrite)  # somebody may have put something there meanwhile
    return KerasExport(target, plain.inputs, plain.outputs, files, size, difference, plain.compared, notes)


def write_keras(request: ExportRequest) -> ExportReport:
    """``export_keras`` as a format of ``tfdl export``.

    Args:
        request: what to export, and where to.
    """
    exported = export_keras(request.run, request.directory, request.checkpoint, overwrite=request.overwrite)
    lines = [f"Keras model {exported.path}: {', '.join(exported.files)}"]
    lines += [f"  takes    {name}: {tensor}" for name, tensor in exported.inputs.items()]
    lines += [f"  returns  {name}: {tensor}" for name, tensor in exported.outputs.items()]
    lines += [f"note: {note}" for note in exported.notes]
    lines.append(f"size: {size_of(exported.size)}")
    lines.append(
        f"parity: largest difference {exported.largest_difference:.3g} over {exported.compared} samples, loaded by"
        " Keras without tfdl and Horovod"
    )
    return ExportReport(exported.path, tuple(lines))


def _check_classes(model: keras.Model) -> None:
    """Raises ``UserError`` if the file could be loaded only where code of the user is."""
    foreign = foreign_classes(model)
    if foreign:
        raise UserError(
            f"the model has {', '.join(foreign)}, which Keras itself does not have, so the file could not be loaded"
            " elsewhere; export it as saved_model or onnx, or save tfdl.load(RUN).model where your classes are"
        )


def _checked_difference(path: Path, plain: TaskModel) -> float:
    answers = answers_in_clean_process("the Keras model", _PROGRAM, [path], plain.samples)
    differences = []
    for case, outputs in plain.expected.items():
        numbered = {str(number): values for number, values in enumerate(outputs)}
        differences.append(largest_difference(numbered, answers.get(case, {})))
    difference = max(differences)
    if not difference <= _TOLERANCE:  # also for NaN
        raise RunError(
            f"the Keras model differs from the run's model by {difference:.3g}, expected at most {_TOLERANCE:g};"
            " nothing was written"
        )
    return difference
