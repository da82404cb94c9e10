"""Writes an ONNX file, and keeps it only if onnxruntime gives the model's answers with it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfdl.config import ExportReport, ExportRequest
from tfdl.config.export_formats import EXPORT_FORMATS, FULL_PRECISION
from tfdl.export.cost import Cost
from tfdl.export.differences import Difference, checked_difference
from tfdl.export.earlier_export import MODEL_FILES
from tfdl.export.exact_numbers import exact_products
from tfdl.export.export_folder import export_folder
from tfdl.export.file_export import FileExport
from tfdl.export.finite_weights import check_finite_weights
from tfdl.export.float32_run import load_float32
from tfdl.export.known_tasks import PROBABILITIES, known_task
from tfdl.export.log_probabilities import with_log_probabilities
from tfdl.export.number_signature import NumberSignature, number_signature
from tfdl.export.packages import check_packages
from tfdl.export.parity import Arrays
from tfdl.export.rank_zero import check_rank_zero
from tfdl.export.rebuilt_model import float64_model
from tfdl.export.run_splits import run_splits
from tfdl.export.served_numbers import as_arrays
from tfdl.export.task_description import described_task
from tfdl.runs import RunDirectory
from tfdl.runs.load import LoadedRun
from tfdl.tasks.classification import Classification

FORMAT = "onnx"
_PACKAGES = ("tf2onnx", "onnx", "onnxruntime")


class OnnxExport(FileExport):
    """An ONNX file that was written, and its largest difference from the run's model."""

    title = "ONNX model"
    asked_by = "run by onnxruntime without tfdl, Horovod and TensorFlow"
    model_name = MODEL_FILES[FORMAT]
    loader = "onnxruntime.InferenceSession"


@exact_products()
def export_onnx(
    run: str | Path | RunDirectory,
    directory: str | Path,
    checkpoint: str = "last",
    *,
    precision: str = FULL_PRECISION,
    overwrite: bool = False,
    data: Mapping[str, Any] | None = None,
) -> OnnxExport:
    """Writes ``directory/model.onnx``, which onnxruntime runs without TensorFlow.

    Images are raw pixels, and texts are token numbers, since ONNX has no strings. The file in float32 is compared with
    the run's model. One of a lower precision is made from it, and both are measured on the test split.

    Args:
        run: a run directory.
        directory: a new or empty folder.
        checkpoint: the weights to use: ``last``, ``best`` or a folder's name.
        precision: ``float32``; ``float16``, which stores weights in half of the space; or ``int8``, which also computes
            with integers.
        overwrite: whether to replace an earlier export.
        data: for a lower precision, the splits of a run whose data Python code passed to ``tfdl.train(data=...)``.

    Raises:
        UserError: there is no such run or checkpoint, the directory is not free, ONNX does not have what the model
            computes, weights are NaN, the precision costs too much, a package is missing, or this rank is not rank 0.
        RunError: the file's answers differ from the model's.
    """
    check_rank_zero("export_onnx")
    check_packages("an ONNX file", _PACKAGES, "onnx")
    EXPORT_FORMATS[FORMAT].checked_precision(precision)
    with export_folder(directory, FORMAT, overwrite=overwrite) as folder:
        loaded = load_float32(run, checkpoint)
        check_finite_weights(loaded.model)
        is_lower = precision != FULL_PRECISION
        splits = run_splits(loaded, precision, data, "export_onnx") if is_lower else {}
        cost: Cost | None = None
        with folder.work_folder() as work:
            float32_model = work / folder.model.name
            signature = _write_float32(float32_model, loaded, precision)
            float32_size = float32_model.stat().st_size
            difference = _checked_difference(float32_model, loaded, signature)
            if is_lower:
                from tfdl.export.onnx.lowering import write_lowered

                cost = write_lowered(float32_model, folder.model, precision, loaded.task, signature, splits)
            else:
                float32_model.rename(folder.model)
        notes = folder.write_beside(loaded.task, precision, signature.inputs, signature.outputs)
        return OnnxExport(
            path=folder.target,
            inputs=signature.inputs,
            outputs=signature.outputs,
            files=folder.files,
            size=folder.model.stat().st_size,
            float32_size=float32_size,
            largest_difference=difference.largest,
            compared=signature.compared,
            precision=precision,
            cost=cost,
            notes=(*notes, *signature.notes, *difference.notes),
        )


def write_onnx(request: ExportRequest) -> ExportReport:
    """``export_onnx`` as a format of ``tfdl export``.

    Args:
        request: what to export, and where to.
    """
    exported = export_onnx(
        request.run, request.directory, request.checkpoint, precision=request.precision, overwrite=request.overwrite
    )
    return exported.report()


def _write_float32(path: Path, loaded: LoadedRun, precision: str) -> NumberSignature:
    """Writes the model in float32, with the metadata of the precision that it will have."""
    import onnx

    from tfdl.export.onnx.conversion import add_metadata, to_onnx

    signature = number_signature(loaded.task)
    model, outputs = to_onnx(loaded.model, signature)
    add_metadata(model, described_task(loaded.task) | {"precision": precision})
    onnx.save(model, path)
    return replace(signature, outputs=outputs)


def _checked_difference(path: Path, loaded: LoadedRun, signature: NumberSignature) -> Difference:
    from tfdl.export.onnx.runtime import answers_of_onnx

    is_classification = isinstance(loaded.task, Classification) and known_task(loaded.task) is not None

    def compared(answers: Mapping[str, Arrays]) -> Mapping[str, Arrays]:
        return with_log_probabilities(answers, PROBABILITIES) if is_classification else answers

    def in_float64() -> Mapping[str, Arrays] | None:
        model = float64_model(loaded)
        return None if model is None else compared(_answers(model, signature))

    expected = compared(_answers(loaded.model, signature))
    answers = compared(answers_of_onnx(path, signature.samples))
    return checked_difference("the ONNX model", expected, answers, in_float64)


def _answers(model: Any, signature: NumberSignature) -> dict[str, Arrays]:
    """What a model answers in this process, by case and name."""
    answers = {}
    for case, inputs in signature.samples.items():
        tensors = {name: tf.constant(array) for name, array in inputs.items()}
        answers[case] = as_arrays(signature.answer(model, **tensors))
    return answers
