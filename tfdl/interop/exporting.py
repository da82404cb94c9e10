"""A run becomes a folder that transformers reads."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfdl import __version__
from tfdl.config import ExportReport, ExportRequest
from tfdl.data.tokenizers.huggingface_files import TOKENIZER_FILE
from tfdl.interop.architectures import architecture_for
from tfdl.interop.images import FILE, write_preprocessing
from tfdl.interop.json_file import read_json
from tfdl.interop.model_folder import CONFIG, WEIGHTS
from tfdl.interop.tokenizer_writing import TOKENIZER_SETTINGS, write_tokenizer
from tfdl.interop.weights import WeightTable
from tfdl.runs import RunDirectory, load_run
from tfdl.runs.atomic import new_folder, write_json
from tfdl.runs.free_folder import free_folder
from tfdl.tasks.image_classification import ImageClassification
from tfdl.tasks.language_modeling import LanguageModeling
from tfdl.tasks.task import Task
from tfdl.tasks.text_classification import TextClassification

# Task -> the class of transformers that loads any model of it.
_AUTO_CLASSES = {
    "language-modeling": "AutoModelForCausalLM",
    "text-classification": "AutoModelForSequenceClassification",
    "image-classification": "AutoModelForImageClassification",
}
_IMAGE_PROCESSOR = "ViTImageProcessor"
# Key of config.json by which an export knows an earlier one.
_VERSION = "tfdl_version"


@dataclass(frozen=True)
class HuggingFaceExport:
    """A folder that was written for transformers."""

    path: Path
    model_class: str
    """The class of transformers that the files name."""
    auto_class: str
    """The class that loads it."""
    files: tuple[str, ...]
    notes: tuple[str, ...]


def export_huggingface(
    run: str | Path | RunDirectory, directory: str | Path, checkpoint: str = "last", *, overwrite: bool = False
) -> HuggingFaceExport:
    """Writes config.json, model.safetensors, and the files of tokenizer or preprocessor.

    Weights are written in float32, one tensor after the other.

    Args:
        run: a run directory.
        directory: a new or empty folder.
        checkpoint: the weights to use: ``last``, ``best`` or a folder's name.
        overwrite: whether to replace an earlier export.

    Raises:
        UserError: there is no such run or checkpoint, the directory is not free, or transformers has no model with this
            computation.
    """
    is_replaceable = _is_export if overwrite else None
    target = free_folder(directory, is_replaceable)
    config = RunDirectory.open(run).read_config()
    architecture = architecture_for(config.model, config.task)
    precision = "float64" if config.precision == "float64" else "float32"
    loaded = load_run(run, checkpoint, precision, merged=True)
    task = loaded.task
    data = {**task.model_arguments, "class_names": task.class_names}
    values = {
        "architectures": [architecture.classes[0]],
        "model_type": architecture.model_type,
        "dtype": "float32",
        _VERSION: __version__,
        **architecture.write(config.model, data),
        **_token_ids(task),
    }
    with new_folder(target, replace=overwrite) as unfinished:
        write_json(unfinished / CONFIG, values)
        WeightTable(architecture, config.model).save(unfinished / WEIGHTS, loaded.model)
        notes = _write_inputs(unfinished, task)
        files = tuple(sorted(path.name for path in unfinished.iterdir()))
        free_folder(directory, is_replaceable)  # somebody may have put something there meanwhile
    return HuggingFaceExport(target, architecture.classes[0], _AUTO_CLASSES[config.task], files, notes)


def write_huggingface(request: ExportRequest) -> ExportReport:
    """``export_huggingface`` as a format of ``tfdl export``.

    Args:
        request: what to export, and where to.
    """
    exported = export_huggingface(request.run, request.directory, request.checkpoint, overwrite=request.overwrite)
    lines = [f"{exported.model_class} {exported.path}: {', '.join(exported.files)}"]
    lines += [f"note: {note}" for note in exported.notes]
    lines.append(f"load it with transformers.{exported.auto_class}.from_pretrained({str(exported.path)!r})")
    return ExportReport(exported.path, tuple(lines))


def _is_export(folder: Path) -> bool:
    """Whether a folder has a model that tfdl wrote, and nothing that an export does not write."""
    known = {CONFIG, WEIGHTS, FILE, TOKENIZER_FILE, TOKENIZER_SETTINGS}
    found = list(folder.iterdir())
    if any(path.name not in known or path.is_symlink() or not path.is_file() for path in found):
        return False
    return {CONFIG, WEIGHTS} <= {path.name for path in found} and _VERSION in read_json(folder / CONFIG)


def _token_ids(task: Task) -> dict[str, Any]:
    if not isinstance(task, LanguageModeling):
        return {}
    tokenizer = task.tokenizer
    return {
        "bos_token_id": tokenizer.start_id,
        "eos_token_id": tokenizer.end_id,
        "pad_token_id": tokenizer.pad_id,
    }


def _write_inputs(folder: Path, task: Task) -> tuple[str, ...]:
    """Writes what turns texts or images into inputs, and returns lines to show."""
    if isinstance(task, ImageClassification):
        write_json(folder / FILE, write_preprocessing(task.scaling, task.image_shape, _IMAGE_PROCESSOR))
        return ()
    if isinstance(task, LanguageModeling):
        longest = task.sequence_length
        adds_start = task.begins_with_start
        adds_end = False
    else:
        assert isinstance(task, TextClassification)
        longest = task.longest
        adds_start = True
        adds_end = task.has_end
    tokenizer = task.tokenizer
    if write_tokenizer(folder, tokenizer, longest, adds_start=adds_start, adds_end=adds_end):
        return ()
    return (f"transformers has no counterpart of the tokenizer {tokenizer.name}: the folder takes token numbers",)
