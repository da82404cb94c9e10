"""Writes one ``.keras`` file of Keras's own layers, and keeps it only if it gives the model's answers."""

from pathlib import Path

import keras

from tfdl.config import ExportReport, ExportRequest
from tfdl.config.export_formats import FULL_PRECISION
from tfdl.errors import UserError
from tfdl.export.differences import checked_difference
from tfdl.export.earlier_export import MODEL_FILES
from tfdl.export.exact_numbers import exact_products
from tfdl.export.export_folder import export_folder
from tfdl.export.file_export import FileExport
from tfdl.export.finite_weights import check_finite_weights
from tfdl.export.float32_run import load_float32
from tfdl.export.keras.foreign_classes import foreign_classes
from tfdl.export.keras.task_model import TaskModel, task_model
from tfdl.export.log_probabilities import with_log_probabilities
from tfdl.export.parity import answers_in_clean_process
from tfdl.export.rank_zero import check_rank_zero
from tfdl.runs import RunDirectory

FORMAT = "keras"
_PROGRAM = """\
import keras
model = keras.models.load_model(arguments[0])
for case, named in inputs.items():
    outputs = model(named if len(named) > 1 else next(iter(named.values())), training=False)
    answers[case] = {str(number): numpy.asarray(value) for number, value in enumerate(keras.tree.flatten(outputs))}
"""

# As the program names it.
_ONLY_OUTPUT = "0"


class KerasExport(FileExport):
    """A Keras model that was written, and its largest difference from the run's model."""

    title = "Keras model"
    asked_by = "loaded by Keras without tfdl and Horovod"
    model_name = MODEL_FILES[FORMAT]
    loader = "keras.models.load_model"


@exact_products()
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
            not have or weights that are NaN, or this rank is not rank 0.
        RunError: the file's answers differ from the model's.
    """
    check_rank_zero("export_keras")
    with export_folder(directory, FORMAT, overwrite=overwrite) as folder:
        loaded = load_float32(run, checkpoint)
        check_finite_weights(loaded.model)
        plain = task_model(loaded.model, loaded.task)
        _check_classes(plain.model)
        plain.model.save(folder.model)
        difference = _checked_difference(folder.model, plain)
        notes = folder.write_beside(loaded.task, FULL_PRECISION, plain.inputs, plain.outputs)
        size = folder.model.stat().st_size
        return KerasExport(
            path=folder.target,
            inputs=plain.inputs,
            outputs=plain.outputs,
            files=folder.files,
            size=size,
            float32_size=size,
            largest_difference=difference,
            compared=plain.compared,
            notes=(*notes, *plain.notes),
        )


def write_keras(request: ExportRequest) -> ExportReport:
    """``export_keras`` as a format of ``tfdl export``.

    Args:
        request: what to export, and where to.
    """
    return export_keras(request.run, request.directory, request.checkpoint, overwrite=request.overwrite).report()


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
    expected = {
        case: {str(number): values for number, values in enumerate(outputs)} for case, outputs in plain.expected.items()
    }
    if plain.is_classifier:
        expected = with_log_probabilities(expected, _ONLY_OUTPUT)
        answers = with_log_probabilities(answers, _ONLY_OUTPUT)
    return checked_difference("the Keras model", expected, answers).largest
