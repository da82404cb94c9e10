"""Writes an ONNX file, and keeps it only if onnxruntime gives the model's answers with it."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.config import ExportReport, ExportRequest
from tfdl.config.export_formats import FULL_PRECISION
from tfdl.errors import RunError, UserError
from tfdl.export.differences import largest_difference
from tfdl.export.export_folder import describe, size_of, target_folder, write_beside
from tfdl.export.float32_run import load_float32
from tfdl.export.number_signature import Arrays, NumberSignature, number_signature
from tfdl.export.precision_cost import Cost, MeasuredSplits
from tfdl.export.rank_zero import check_rank_zero
from tfdl.runs import RunDirectory
from tfdl.runs.atomic import new_folder
from tfdl.runs.load import LoadedRun

FORMAT = "onnx"
MODEL = "model.onnx"
PRECISIONS = (FULL_PRECISION, "float16", "int8")
_PACKAGES = ("tf2onnx", "onnx", "onnxruntime")
_TOLERANCE = 1e-4
# Training images that static quantization finds the ranges of values on.
_CALIBRATED = 256


@dataclass(frozen=True)
class OnnxExport:
    """An ONNX file that was written, and its largest difference from the run's model."""

    path: Path
    """The folder, with ``model.onnx`` in it."""
    inputs: dict[str, str]
    """Name -> dtype and axes."""
    outputs: dict[str, str]
    files: tuple[str, ...]
    size: int
    """Bytes of ``model.onnx``."""
    float32_size: int
    """Bytes that it has in float32."""
    largest_difference: float
    """As for ``tfdl.export_saved_model``, in float32."""
    compared: int
    """The number of samples that were compared."""
    cost: Cost | None = None
    """What a smaller precision costs; None for float32."""
    notes: tuple[str, ...] = ()


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
    the run's model. One of a smaller precision is made from it, and both are measured on the test split.

    Args:
        run: a run directory.
        directory: a new or empty folder.
        checkpoint: the weights to use: ``last``, ``best`` or a folder's name.
        precision: ``float32``; ``float16``, which stores weights in half of the space; or ``int8``, which also computes
            with integers.
        overwrite: whether to replace an earlier export.
        data: the splits, for a smaller precision of a run whose data Python code passed.

    Raises:
        UserError: there is no such run or checkpoint, the directory is not free, ONNX does not have what the model
            computes, the precision costs too much, a package is missing, or this rank is not rank 0.
        RunError: the file's answers differ from the model's.
    """
    check_rank_zero("export_onnx")
    _check_packages()
    if precision not in PRECISIONS:
        raise UserError(f"precision={precision!r}, expected one of {', '.join(PRECISIONS)}")
    target = target_folder(directory, FORMAT, MODEL, overwrite=overwrite)
    loaded = load_float32(run, checkpoint)
    signature = number_signature(loaded.task)
    splits = None if precision == FULL_PRECISION else MeasuredSplits(loaded, data)
    with new_folder(target, replace=overwrite) as unfinished, tempfile.TemporaryDirectory(prefix="tfdl-onnx-") as name:
        described = describe(loaded.task) | {"precision": precision}
        outputs = _write_float32(Path(name) / MODEL, loaded, signature, described)
        difference = _checked_difference(Path(name) / MODEL, loaded, signature)
        cost = _write_precision(Path(name) / MODEL, unfinished / MODEL, precision, signature, splits)
        takes = {name: str(numbers) for name, numbers in signature.inputs.items()}
        described |= {"takes": takes, "returns": outputs}
        notes = write_beside(unfinished, FORMAT, loaded.task, described)
        files = tuple(sorted(path.name for path in unfinished.iterdir()))
        size = (unfinished / MODEL).stat().st_size
        float32_size = (Path(name) / MODEL).stat().st_size
        target_folder(directory, FORMAT, MODEL, overwrite=overwrite)  # somebody may have put something there meanwhile
    return OnnxExport(target, takes, outputs, files, size, float32_size, difference, signature.compared, cost, notes)


def write_onnx(request: ExportRequest) -> ExportReport:
    """``export_onnx`` as a format of ``tfdl export``.

    Args:
        request: what to export, and where to.
    """
    exported = export_onnx(
        request.run, request.directory, request.checkpoint, precision=request.precision, overwrite=request.overwrite
    )
    lines = [f"ONNX model {exported.path}: {', '.join(exported.files)}"]
    lines += [f"  takes    {name}: {tensor}" for name, tensor in exported.inputs.items()]
    lines += [f"  returns  {name}: {tensor}" for name, tensor in exported.outputs.items()]
    lines += [f"note: {note}" for note in exported.notes]
    size = f"size: {size_of(exported.size)}"
    if exported.cost is not None:
        size += f", in float32 {size_of(exported.float32_size)}"
    lines.append(size)
    of_float32 = "" if exported.cost is None else ", in float32"
    lines.append(
        f"parity: largest difference {exported.largest_difference:.3g} over {exported.compared} samples{of_float32},"
        " run by onnxruntime without tfdl, Horovod and TensorFlow"
    )
    if exported.cost is not None:
        lines.append(f"cost: {exported.cost}")
    return ExportReport(exported.path, tuple(lines))


def _check_packages() -> None:
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise UserError(f"an ONNX file needs {' and '.join(missing)}; pip install 'tfdl[onnx]'")


def _write_float32(
    path: Path, loaded: LoadedRun, signature: NumberSignature, described: Mapping[str, Any]
) -> dict[str, str]:
    """Writes the model, and returns its outputs."""
    import onnx

    from tfdl.export.onnx_conversion import add_metadata, to_onnx

    model, outputs = to_onnx(loaded.model, signature)
    add_metadata(model, described)
    onnx.save(model, path)
    return {name: str(numbers) for name, numbers in outputs.items()}


def _checked_difference(path: Path, loaded: LoadedRun, signature: NumberSignature) -> float:
    from tfdl.export.onnx_runtime import answers_of_onnx

    answers = answers_of_onnx(path, signature.samples)
    differences = []
    for case, inputs in signature.samples.items():
        expected = signature.answer(loaded.model, **{name: tf.constant(array) for name, array in inputs.items()})
        differences.append(largest_difference(_arrays(expected), answers.get(case, {})))
    difference = max(differences)
    if not difference <= _TOLERANCE:  # also for NaN
        raise RunError(
            f"the ONNX model differs from the run's model by {difference:.3g}, expected at most {_TOLERANCE:g}; nothing"
            " was written"
        )
    return difference


def _write_precision(
    source: Path,
    target: Path,
    precision: str,
    signature: NumberSignature,
    splits: MeasuredSplits | None,
) -> Cost | None:
    """Makes the file in the folder of the export from that in float32, and measures what it costs."""
    import onnx

    from tfdl.export.onnx_precision import has_convolutions, in_float16, write_int8
    from tfdl.export.onnx_runtime import OnnxModel, answers_of_onnx

    if splits is None:
        shutil.copyfile(source, target)
        return None
    model = onnx.load(source)
    if precision == "float16":
        onnx.save(in_float16(model), target)
    else:
        write_int8(source, target, splits.calibration(_CALIBRATED) if has_convolutions(model) else ())
    smaller = OnnxModel(target)
    elsewhere = answers_of_onnx(target, signature.samples)
    for case, inputs in signature.samples.items():
        difference = largest_difference(smaller(**inputs), elsewhere.get(case, {}))
        if not difference <= _TOLERANCE:
            raise RunError(f"the ONNX model in {precision} answers otherwise in another process, by {difference:.3g}")
    return splits.cost(OnnxModel(source), smaller)


def _arrays(answers: Mapping[str, Any]) -> Arrays:
    return {name: np.asarray(value) for name, value in answers.items()}
