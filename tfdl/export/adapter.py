"""Writes an adapter: what fine-tuning added to a run, without the weights that it started from."""

from dataclasses import dataclass
from pathlib import Path

from tfdl.config import ExportReport, ExportRequest
from tfdl.errors import UserError
from tfdl.export.earlier_export import free_for_adapter
from tfdl.export.rank_zero import check_rank_zero
from tfdl.export.report_words import shown_path
from tfdl.interop.adapter_writing import write_adapter_files
from tfdl.runs import RunDirectory, load_run
from tfdl.runs.atomic import new_folder
from tfdl.runs.base_record import BaseRecord


@dataclass(frozen=True)
class AdapterExport:
    """An adapter that was written."""

    path: Path
    parameters: int
    """The number of values in it."""
    base: BaseRecord
    """The run that it belongs to."""


def export_adapter(
    run: str | Path | RunDirectory, directory: str | Path, checkpoint: str = "last", *, overwrite: bool = False
) -> AdapterExport:
    """Writes what was trained (updates of low rank, a new head, what ``!`` excepts from freezing), the run's
    configuration without paths, and what its task needs.

    A record has the SHA-256 of the weights that the adapter belongs to.

    Args:
        run: a run with ``model.lora_rank``.
        directory: a new or empty folder.
        checkpoint: the weights to use: ``last``, ``best`` or a folder's name.
        overwrite: whether to replace an earlier adapter.

    Raises:
        UserError: a run without updates of low rank, the directory is not free, or this rank is not rank 0.
    """
    check_rank_zero("export_adapter")
    opened = RunDirectory.open(run)
    if getattr(opened.read_config().model, "lora_rank", None) is None:
        raise UserError(
            f"run {str(opened.path)!r} has no updates of low rank, expected a run that was trained with"
            " --set model.lora_rank=8; export this one as a whole, in another --format"
        )
    target = free_for_adapter(directory, opened, overwrite=overwrite)
    loaded = load_run(opened, checkpoint)
    base = BaseRecord.load(opened.assets)
    with new_folder(target, replace=overwrite) as unfinished:
        parameters = write_adapter_files(unfinished, loaded, base)
        free_for_adapter(directory, opened, overwrite=overwrite)  # somebody may have put something there meanwhile
    return AdapterExport(target, parameters, base)


def write_adapter(request: ExportRequest) -> ExportReport:
    """``export_adapter`` as a format of ``tfdl export``.

    Args:
        request: what to export, and where to.
    """
    exported = export_adapter(request.run, request.directory, request.checkpoint, overwrite=request.overwrite)
    base = exported.base
    lines = (
        f"adapter {shown_path(exported.path)}: {exported.parameters:,} parameters, for the weights of {base.run}",
        f"  SHA-256 of these weights {base.sha256}",
    )
    return ExportReport(exported.path, lines)
