"""Adapters: what fine-tuning added to a run, without the weights that it started from."""

import shutil
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tfdl.config import ExportReport, ExportRequest, TrainConfig, load_yaml
from tfdl.config.initial_checkpoint import base_of
from tfdl.errors import RunError, UserError
from tfdl.interop.adapter_folder import ADAPTER, is_adapter
from tfdl.interop.imported_run import write_imported_run
from tfdl.models import build_model, compute_precision
from tfdl.models.low_rank import is_low_rank
from tfdl.runs import RunDirectory, load_run
from tfdl.runs.atomic import new_folder
from tfdl.runs.base_record import BaseRecord
from tfdl.runs.checkpoint import verify
from tfdl.runs.digest import sha256_of_variables
from tfdl.runs.free_folder import free_folder
from tfdl.runs.load import load_task
from tfdl.runs.merged_weights import merged_shapes, read_merged
from tfdl.runs.variables import by_path, read_some_variables, shapes_of_variables, write_variables


@dataclass(frozen=True)
class ExportedAdapter:
    """An adapter that was written."""

    path: Path
    parameters: int
    """The number of values in it."""
    base: BaseRecord
    """The run that it belongs to."""


def export_adapter(
    run: str | Path | RunDirectory, directory: str | Path, checkpoint: str = "last", *, overwrite: bool = False
) -> ExportedAdapter:
    """Writes what was trained (updates of low rank, a new head, what ``!`` excepts from freezing), the run's
    configuration and its assets.

    The assets have the SHA-256 of the weights that it belongs to.

    Args:
        run: a run with ``model.lora_rank``.
        directory: a new or empty folder.
        checkpoint: the weights to use: ``last``, ``best`` or a folder's name.
        overwrite: whether to replace an earlier adapter.

    Raises:
        UserError: a run without updates of low rank, or the directory is not free.
    """
    opened = RunDirectory.open(run)
    if getattr(opened.read_config().model, "lora_rank", None) is None:
        raise UserError(
            f"run {str(opened.path)!r} has no updates of low rank, expected one of --set model.lora_rank=8; export it"
            " as a whole"
        )
    is_replaceable = partial(_is_export_of, opened) if overwrite else None
    target = free_folder(directory, is_replaceable)
    loaded = load_run(opened, checkpoint)
    base = BaseRecord.load(opened.assets)
    variables = {
        name: variable
        for name, variable in by_path(loaded.model.weights).items()
        if is_low_rank(name) or name in (*base.new, *base.trained)
    }
    with new_folder(target, replace=overwrite) as unfinished:
        write_variables(unfinished / ADAPTER, variables)
        shutil.copy(opened.config_path, unfinished / opened.config_path.name)
        shutil.copytree(opened.assets, unfinished / opened.assets.name)
        free_folder(directory, is_replaceable)  # somebody may have put something there meanwhile
    parameters = sum(int(variable.numpy().size) for variable in variables.values())
    return ExportedAdapter(target, parameters, base)


def write_adapter(request: ExportRequest) -> ExportReport:
    """``export_adapter`` as a format of ``tfdl export``.

    Args:
        request: what to export, and where to.
    """
    exported = export_adapter(request.run, request.directory, request.checkpoint, overwrite=request.overwrite)
    base = exported.base
    lines = (
        f"adapter {exported.path}: {exported.parameters:,} parameters, for the weights of {base.run}",
        f"  SHA-256 of these weights {base.sha256}",
    )
    return ExportReport(exported.path, lines)


def _is_export_of(run: RunDirectory, folder: Path) -> bool:
    """Whether a folder has an adapter, and nothing that an export of this run does not write."""
    expected = {ADAPTER, run.config_path.name, run.assets.name}
    expected |= {f"{run.assets.name}/{path.relative_to(run.assets)}" for path in run.assets.rglob("*")}
    found = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    return is_adapter(folder) and found <= expected


def import_adapter(folder: str | Path, base: str | Path, output: str | Path) -> RunDirectory:
    """Makes a run of an adapter and the weights that it belongs to.

    Args:
        folder: that ``export_adapter`` wrote.
        base: the run that the adapter was trained on, or one of its checkpoints.
        output: the new run directory.

    Returns:
        The run, which evaluates, predicts and exports as the fine-tuned one does.

    Raises:
        UserError: no adapter, other weights than those that it was trained on, or an output that is not free.
        RunError: a damaged file.
    """
    source = RunDirectory(folder)
    if not is_adapter(source.path) or not source.has_run():
        raise UserError(f"{str(folder)!r} is no adapter, expected a folder of `tfdl export --format lora`")
    run = RunDirectory(free_folder(output))
    config = TrainConfig.from_mapping(load_yaml(source.config_path)).replace(initial_checkpoint=str(base))
    task = load_task(source, config)
    with compute_precision(config.precision):
        model = build_model(config.model, **task.model_arguments)
    record = BaseRecord.load(source.assets)
    checkpoint = _load(model, source.path / ADAPTER, base, record)
    new_record = replace(record, run=str(base), checkpoint=checkpoint)
    origin = {"source": str(source.path.absolute()), "model_type": "lora"}
    with new_folder(run.path) as unfinished:
        write_imported_run(RunDirectory(unfinished), config, task, model, origin)
        new_record.save(unfinished / run.assets.name)
    return run


def _load(model: Any, adapter: Path, base: str | Path, record: BaseRecord) -> str:
    """Reads the weights of both; returns the name of the base's checkpoint."""
    directory, name = base_of(base)
    checkpoint = RunDirectory.open(directory).checkpoint(name).resolve()
    verify(checkpoint)
    variables = by_path(model.weights)
    added = shapes_of_variables(adapter)
    unknown = [name for name in added if name not in variables]
    if unknown:
        raise RunError(f"{adapter} has {unknown[0]}, which is no variable of its model; export it again")
    taken = {name: variable for name, variable in variables.items() if name not in added}
    stored = merged_shapes(checkpoint)
    if any(stored.get(name) != tuple(variable.shape) for name, variable in taken.items()):
        raise UserError(f"--base {str(base)!r} is another model than the one that the adapter was trained on")
    read_merged(checkpoint, RunDirectory.open(directory).read_config().model, taken)
    if sha256_of_variables(taken) != record.sha256:
        raise UserError(
            f"--base {str(base)!r} has other weights than those that the adapter was trained on, which are those of"
            f" {record.run!r}, checkpoint {record.checkpoint}"
        )
    read_some_variables(adapter, {name: variables[name] for name in added})
    return checkpoint.name
