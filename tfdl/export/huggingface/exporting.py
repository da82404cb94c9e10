"""Writes a folder that transformers reads, and keeps it only if it gives the model's answers."""

from dataclasses import dataclass
from pathlib import Path

from tfdl.config import ExportReport, ExportRequest
from tfdl.export.earlier_export import free_for_hugging_face
from tfdl.export.float32_run import load_float32
from tfdl.export.huggingface.comparison import compare
from tfdl.export.rank_zero import check_rank_zero
from tfdl.export.report_words import shown_path
from tfdl.interop.architectures import architecture_for
from tfdl.interop.model_writing import write_model
from tfdl.runs import RunDirectory
from tfdl.runs.atomic import new_folder


@dataclass(frozen=True)
class HuggingFaceExport:
    """A folder that was written for transformers, and its largest difference from the run's model."""

    path: Path
    model_class: str
    """The class of transformers that the files name."""
    auto_class: str
    """The class that loads it."""
    files: tuple[str, ...]
    largest_difference: float
    """The largest difference between the folder's logits and those of the run's model, both in float32. It is relative
    to the largest logit of the same image or token, where that is larger than 1."""
    compared: int
    """The number of samples that were compared."""
    asked_by: str
    """Who gave the logits that were compared: transformers, if it is installed, and tfdl's own importer."""
    notes: tuple[str, ...]


def export_huggingface(
    run: str | Path | RunDirectory, directory: str | Path, checkpoint: str = "last", *, overwrite: bool = False
) -> HuggingFaceExport:
    """Writes config.json, model.safetensors, and the files of tokenizer or preprocessor.

    The folder is made only if it gives the model's logits for random images or tokens: read by tfdl's own importer,
    and loaded by transformers in a process that has neither tfdl nor Horovod on its path, if transformers is installed.

    Args:
        run: a run directory.
        directory: a new or empty folder.
        checkpoint: the weights to use: ``last``, ``best`` or a folder's name.
        overwrite: whether to replace an earlier export.

    Raises:
        UserError: there is no such run or checkpoint, the directory is not free, transformers has no model with this
            computation, or this rank is not rank 0.
        RunError: the folder's logits differ from the model's.
    """
    check_rank_zero("export_huggingface")
    target = free_for_hugging_face(directory, overwrite=overwrite)
    config = RunDirectory.open(run).read_config()
    architecture = architecture_for(config.model, config.task)
    loaded = load_float32(run, checkpoint)
    with new_folder(target, replace=overwrite) as unfinished:
        written = write_model(unfinished, loaded, architecture)
        comparison = compare(unfinished, written.auto_class, loaded)
        files = tuple(sorted(path.name for path in unfinished.iterdir()))
        free_for_hugging_face(directory, overwrite=overwrite)  # somebody may have put something there meanwhile
    return HuggingFaceExport(
        path=target,
        model_class=written.model_class,
        auto_class=written.auto_class,
        files=files,
        largest_difference=comparison.largest_difference,
        compared=comparison.compared,
        asked_by=comparison.asked_by,
        notes=written.notes,
    )


def write_huggingface(request: ExportRequest) -> ExportReport:
    """``export_huggingface`` as a format of ``tfdl export``.

    Args:
        request: what to export, and where to.
    """
    exported = export_huggingface(request.run, request.directory, request.checkpoint, overwrite=request.overwrite)
    lines = [
        f"{exported.model_class} {shown_path(exported.path)}: {', '.join(exported.files)}",
        f"parity: largest difference {exported.largest_difference:.3g} over {exported.compared} samples,"
        f" {exported.asked_by}",
    ]
    lines += [f"note: {note}" for note in exported.notes]
    lines.append(f"load it with transformers.{exported.auto_class}.from_pretrained({shown_path(exported.path)!r})")
    return ExportReport(exported.path, tuple(lines))
