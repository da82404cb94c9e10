"""Writes a LiteRT file, and keeps it only if it gives the model's answers and is as accurate as it should be."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tfdl.config import ExportReport, ExportRequest
from tfdl.config.export_formats import EXPORT_FORMATS, FULL_PRECISION
from tfdl.export.differences import check_lower_precision
from tfdl.export.earlier_export import MODEL_FILES
from tfdl.export.exact_numbers import exact_products
from tfdl.export.export_folder import export_folder
from tfdl.export.file_export import FileExport
from tfdl.export.finite_weights import check_finite_weights
from tfdl.export.float32_run import load_float32
from tfdl.export.litert.choice import function_for
from tfdl.export.litert.comparison import Compared, written_and_compared
from tfdl.export.litert.functions import LiteRTFunction
from tfdl.export.litert.interpreter import LiteRTModel, answers_of_litert
from tfdl.export.litert.lowering import Lowered, lowered
from tfdl.export.packages import check_packages
from tfdl.export.rank_zero import check_rank_zero
from tfdl.export.rebuilt_model import float64_model
from tfdl.export.run_splits import run_splits
from tfdl.runs import RunDirectory
from tfdl.runs.load import LoadedRun

FORMAT = "litert"
_PACKAGES = ("ai-edge-litert",)


class LiteRTExport(FileExport):
    """A LiteRT file that was written, and its largest difference from the run's model."""

    title = "LiteRT model"
    asked_by = "run by ai-edge-litert without tfdl, Horovod and TensorFlow"
    model_name = MODEL_FILES[FORMAT]
    loader = "ai_edge_litert.interpreter.Interpreter"


@exact_products()
def export_litert(
    run: str | Path | RunDirectory,
    directory: str | Path,
    checkpoint: str = "last",
    *,
    precision: str = FULL_PRECISION,
    overwrite: bool = False,
    data: Mapping[str, Any] | None = None,
) -> LiteRTExport:
    """Writes ``directory/model.tflite``, and the classes or the tokenizer beside it.

    The file has LiteRT's own operations only. It is kept only if LiteRT, in a process without TensorFlow, gives the
    model's answers in float32. A lower precision is kept only if the task's metric on the test split, in LiteRT, is not
    much worse (``tfdl.export.cost.BOUNDS``).

    Args:
        run: a run directory.
        directory: a new or empty folder.
        checkpoint: the weights to use: ``last``, ``best`` or a folder's name.
        precision: ``float32``; ``float16`` for weights of half the size; or ``int8``: the weights of models of texts,
            and also the numbers between layers of models of images.
        overwrite: whether to replace an earlier export.
        data: for a lower precision, the splits of a run whose data Python code passed to ``tfdl.train(data=...)``.

    Raises:
        UserError: there is no such run or checkpoint, the directory is not free, the package ``ai-edge-litert`` is
            missing, LiteRT cannot compute the model, weights are NaN, a precision costs too much, or this rank is not
            rank 0.
        RunError: the file's answers differ from the model's.
    """
    check_rank_zero("export_litert")
    check_packages("a LiteRT file", _PACKAGES, "litert")
    EXPORT_FORMATS[FORMAT].checked_precision(precision)
    with export_folder(directory, FORMAT, overwrite=overwrite) as folder:
        loaded = load_float32(run, checkpoint)
        check_finite_weights(loaded.model)
        function = function_for(loaded.model, loaded.task)
        is_lower = precision != FULL_PRECISION
        splits = run_splits(loaded, precision, data, "export_litert") if is_lower else {}
        compared = written_and_compared(function, folder.model, partial(_in_float64, loaded))
        lower: Lowered | None = None
        if is_lower:
            lower = lowered(compared.content, compared.graph, function, precision, splits)
            folder.model.write_bytes(lower.content)
            _check_lower(folder.model, lower, compared, precision)
        graph = compared.graph
        notes = folder.write_beside(loaded.task, precision, graph.inputs, graph.outputs)
        return LiteRTExport(
            path=folder.target,
            inputs=graph.inputs,
            outputs=graph.outputs,
            files=folder.files,
            size=folder.model.stat().st_size,
            float32_size=len(compared.content),
            largest_difference=compared.largest_difference,
            compared=compared.num_rows,
            precision=precision,
            cost=None if lower is None else lower.cost,
            notes=(*notes, *function.notes, *compared.notes, *(() if lower is None else (lower.note,))),
        )


def write_litert(request: ExportRequest) -> ExportReport:
    """``export_litert`` as a format of ``tfdl export``.

    Args:
        request: what to export, and where to.
    """
    exported = export_litert(
        request.run, request.directory, request.checkpoint, precision=request.precision, overwrite=request.overwrite
    )
    return exported.report()


def _in_float64(loaded: LoadedRun) -> LiteRTFunction | None:
    model = float64_model(loaded)
    return None if model is None else function_for(model, loaded.task)


def _check_lower(path: Path, lower: Lowered, compared: Compared, precision: str) -> None:
    model = LiteRTModel(lower.content, one_row=compared.graph.one_row)
    here = {case: model.answers(inputs) for case, inputs in compared.samples.items()}
    check_lower_precision(f"the LiteRT file in {precision}", here, answers_of_litert(path, compared.samples))
