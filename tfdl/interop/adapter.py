"""A run of an adapter and the weights that it belongs to."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from tfdl.config import DatasetConfig, TrainConfig
from tfdl.config.initial_checkpoint import base_of
from tfdl.errors import RunError, UserError
from tfdl.interop.adapter_folder import ADAPTER, is_adapter
from tfdl.interop.imported_run import write_imported_run
from tfdl.models import build_model, compute_precision
from tfdl.runs import RunDirectory
from tfdl.runs.atomic import new_folder
from tfdl.runs.base_record import BaseRecord
from tfdl.runs.checkpoint import verify
from tfdl.runs.digest import sha256_of_variables
from tfdl.runs.free_folder import free_folder
from tfdl.runs.load import load_task
from tfdl.runs.merged_weights import merged_shapes, read_merged
from tfdl.runs.variables import by_path, read_some_variables, shapes_of_variables


def import_adapter(
    folder: str | Path, base: str | Path, output: str | Path, *, dataset: str | None = None
) -> RunDirectory:
    """Makes a run of an adapter and the weights that it belongs to.

    Args:
        folder: that ``export_adapter`` wrote.
        base: the run that the adapter was trained on, or one of its checkpoints.
        output: the new run directory.
        dataset: the data set that ``evaluate`` reads. Defaults to that of the fine-tuned run; if that was a path, to
            the file or folder of its last name in the working directory.

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
    config = _config(source, base, dataset)
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


def _config(source: RunDirectory, base: str | Path, dataset: str | None) -> TrainConfig:
    values = source.read_config_values() | {"initial_checkpoint": str(base)}
    if dataset is not None:
        section = values["dataset"] if isinstance(values["dataset"], dict) else {}
        # Another declared data set's own fields have no meaning here.
        kept = {field.name: section[field.name] for field in fields(DatasetConfig) if field.name in section}
        values["dataset"] = {**kept, "name": dataset}
    return TrainConfig.from_mapping(values)


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
