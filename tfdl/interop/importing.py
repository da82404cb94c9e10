"""A published model becomes a run directory."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from tfdl.config import ModelConfig, TrainConfig
from tfdl.config.mapping import to_mapping
from tfdl.errors import UserError
from tfdl.interop.architectures import architecture_of, lacks_head
from tfdl.interop.architectures.base import Architecture, Description
from tfdl.interop.imported_run import write_imported_run
from tfdl.interop.model_folder import CONFIG, ModelFolder
from tfdl.interop.settings import Settings
from tfdl.interop.task_parts import TaskParts, read_task
from tfdl.interop.weights import WeightTable
from tfdl.models import build_model, compute_precision
from tfdl.models.shapes_only import shapes_only
from tfdl.runs import RunDirectory
from tfdl.runs.atomic import new_folder
from tfdl.runs.free_folder import free_folder
from tfdl.tasks.task import Task


@dataclass(frozen=True)
class Imported:
    """A run that was made of a published model."""

    run: RunDirectory
    architecture: str
    """``model_type`` of the files."""
    task: str
    parameters: int
    tokenizer: str
    """The name of the run's tokenizer; empty for images."""
    has_graph: bool
    """Whether exports take texts, rather than token numbers."""
    notes: tuple[str, ...]
    """Lines to show."""


def import_model(
    folder: str | Path,
    output: str | Path,
    *,
    source: str = "",
    dataset: str | None = None,
    sequence_length: int | None = None,
) -> Imported:
    """Makes a run of a model in a folder as Hugging Face publishes it. No code of the folder is run.

    The weights are read one tensor after the other. Nothing is written if the model cannot be used.

    Args:
        folder: of config.json, safetensors files and tokenizer.
        output: the new run directory.
        source: where the folder came from, for the record. Defaults to the folder.
        dataset: the data set that ``evaluate`` reads. Defaults to the task's.
        sequence_length: most tokens of a sample. Defaults to the model's positions, and at most 1,024 for language
            modeling.

    Returns:
        The run, and what to show about it.

    Raises:
        UserError: files that cannot be used, or an output that is not free.
    """
    run = RunDirectory(free_folder(output))
    files = ModelFolder(Path(folder).expanduser())
    config_path = str(files.path / CONFIG)
    architecture = architecture_of(files.config, config_path)
    described = _describe(architecture, files, config_path)
    parts = read_task(architecture, described, files, sequence_length)
    config = _configure(architecture, parts, dataset)
    table = WeightTable(architecture, config.model, lacks_head(architecture, files.config))
    with shapes_only():
        table.check(files.tensors, build_model(config.model, **parts.task.model_arguments))
    lacking = table.lacking(files.tensors)
    keras.utils.set_random_seed(config.seed)
    with compute_precision(config.precision):
        model = build_model(config.model, **parts.task.model_arguments)
    table.load(files.tensors, model)
    record = {"source": source or str(files.path.absolute()), "model_type": architecture.model_type}
    with new_folder(run.path) as unfinished:
        write_imported_run(RunDirectory(unfinished), config, parts.task, model, record)
    tokenizer = getattr(parts.task, "tokenizer", None)
    return Imported(
        run=run,
        architecture=architecture.model_type,
        task=architecture.task,
        parameters=model.count_params(),
        tokenizer="" if tokenizer is None else tokenizer.name,
        has_graph=tokenizer is None or tokenizer.has_graph,
        notes=(*parts.notes, *_head_note(lacking)),
    )


def read_written_model(folder: Path, config: ModelConfig, task: Task) -> Any:
    """The model of a folder that an export wrote, in float32: config.json and the weights as an import reads them.

    Tokenizer and preprocessor are not read: some tokenizers have no counterpart there.

    Args:
        folder: of the export.
        config: of the exported model. Only what belongs to the tokenizer is taken from it.
        task: of the exported run.

    Returns:
        A new model.

    Raises:
        UserError: files that cannot be read, or that do not belong together.
    """
    files = ModelFolder(folder)
    config_path = str(folder / CONFIG)
    architecture = architecture_of(files.config, config_path)
    read: Any = _describe(architecture, files, config_path).model
    if getattr(read, "num_segments", 0):
        read = dataclasses.replace(read, separator_id=config.separator_id)  # type: ignore[attr-defined]
    table = WeightTable(architecture, read)
    with shapes_only():
        table.check(files.tensors, build_model(read, **task.model_arguments))
    with compute_precision("float32"):
        model = build_model(read, **task.model_arguments)
    table.load(files.tensors, model)
    return model


def _describe(architecture: Architecture, files: ModelFolder, path: str) -> Description:
    tensors = files.tensors
    settings = Settings(files.config, Path(path), tensors.largest, len(tensors.stored))
    try:
        return architecture.read(settings)
    except UserError as error:
        message = str(error)
        raise UserError(message if path in message else f"{path!r}: {message}") from error


def _configure(architecture: Architecture, parts: TaskParts, dataset: str | None) -> TrainConfig:
    fields: dict[str, Any] = {
        "model": to_mapping(parts.model),
        "task": architecture.task,
        "dataset": {**parts.dataset, **({"name": dataset} if dataset else {})},
    }
    if parts.tokenizer is not None:
        fields["tokenizer"] = dict(parts.tokenizer)
    return TrainConfig.from_mapping(fields)


def _head_note(lacking: Sequence[str]) -> tuple[str, ...]:
    if not lacking:
        return ()
    layers = " and ".join(dict.fromkeys(name.split("/")[0] for name in lacking))
    return (f"the files have no classifier: {layers} have random values, so train the run on your classes first",)
