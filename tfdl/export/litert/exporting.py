"""Writes a LiteRT file, and keeps it only if it gives the model's answers and is as accurate as it should be."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfdl.config import ExportReport, ExportRequest
from tfdl.config.export_formats import EXPORT_FORMATS, FULL_PRECISION
from tfdl.data import Source
from tfdl.distributed import current_world
from tfdl.errors import UserError
from tfdl.export.litert.choice import function_for
from tfdl.export.litert.comparison import check_finite, written_and_compared
from tfdl.export.litert.folder import MODEL, is_export, write_description
from tfdl.export.litert.interpreter import answers_of_litert, check_installed
from tfdl.export.litert.lowering import Lowered, lowered, sources_of
from tfdl.export.litert.report import ExportedLiteRT, report_lines
from tfdl.interop.free_folder import free_folder
from tfdl.runs import RunDirectory, load_run
from tfdl.runs.atomic import new_folder

FORMAT = "litert"


def export_litert(
    run: str | Path | RunDirectory,
    directory: str | Path,
    checkpoint: str = "last",
    *,
    precision: str = FULL_PRECISION,
    overwrite: bool = False,
    data: Mapping[str, Any] | None = None,
) -> ExportedLiteRT:
    """Writes ``directory/model.tflite``, and the classes or the tokenizer beside it.

    The file has LiteRT's own operations only. It is kept only if LiteRT, in a process without TensorFlow, gives the
    model's answers in float32. A lower precision is kept only if the task's metric on the test split, in LiteRT, is not
    much worse: 2 points of accuracy, or 5 % of perplexity.

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
            missing, LiteRT cannot compute the model, a precision costs too much, or this rank is not rank 0.
        RunError: the file's answers differ from the model's.
    """
    _check_rank()
    check_installed()
    EXPORT_FORMATS[FORMAT].checked_precision(precision)
    is_replaceable = is_export if overwrite else None
    target = free_folder(directory, is_replaceable)
    opened = RunDirectory.open(run)
    if opened.read_config().precision == "float64":
        raise UserError(
            f"run {str(opened.path)!r} is in float64, and LiteRT computes in float32; use --format saved_model"
        )
    loaded = load_run(opened, checkpoint, precision="float32", merged=True)
    function = function_for(loaded.model, loaded.task)
    sources: Mapping[str, Source] = {}
    if precision != FULL_PRECISION:
        function.check_measurable()
        sources = sources_of(loaded, precision, data)
    low: Lowered | None = None
    with new_folder(target, replace=overwrite) as unfinished:
        model_file = unfinished / MODEL
        compared = written_and_compared(function, model_file)
        if precision != FULL_PRECISION:
            low = lowered(compared.content, compared.graph, function, precision, sources)
            model_file.write_bytes(low.content)
            check_finite(answers_of_litert(model_file, compared.samples), precision)
        write_description(unfinished, compared.graph, function, precision)
        num_bytes = model_file.stat().st_size
        free_folder(directory, is_replaceable)  # somebody may have put something there meanwhile
    return ExportedLiteRT(
        path=target,
        precision=precision,
        inputs=compared.graph.inputs,
        outputs=compared.graph.outputs,
        largest_difference=compared.largest_difference,
        compared=compared.num_rows,
        num_bytes=num_bytes,
        num_bytes_before=len(compared.content),
        cost=None if low is None else low.cost,
        notes=(*function.notes, *(() if low is None else (low.note,))),
    )


def write_litert(request: ExportRequest) -> ExportReport:
    """``export_litert`` as a format of ``tfdl export``.

    Args:
        request: what to export, and where to.
    """
    exported = export_litert(
        request.run,
        request.directory,
        request.checkpoint,
        precision=request.precision,
        overwrite=request.overwrite,
    )
    return ExportReport(exported.path, report_lines(exported))


def _check_rank() -> None:
    world = current_world()
    if not world.is_chief:
        raise UserError(
            f"export_litert on rank {world.rank} of {world.size}, expected rank 0 only, as all ranks would write one"
            " directory; call it under: if tfdl.distributed.current_world().is_chief:"
        )
