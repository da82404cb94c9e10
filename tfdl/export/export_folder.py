"""The folder of an export: a model file, and files that say what it takes and returns."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfdl import __version__
from tfdl.data.tokenizers.file import file_bytes
from tfdl.data.tokenizers.huggingface_files import TOKENIZER_FILE
from tfdl.interop.free_folder import free_folder
from tfdl.interop.json_file import read_json
from tfdl.interop.tokenizer_writing import TOKENIZER_SETTINGS, write_tokenizer
from tfdl.runs.atomic import write_json
from tfdl.tasks.language_modeling import LanguageModeling
from tfdl.tasks.task import Task, TextTask
from tfdl.tasks.text_classification import TextClassification
from tfdl.tasks.translation import Translation

DESCRIPTION = "tfdl.json"
"""What the model takes and returns. Its key ``format`` tells an export from other folders."""
LABELS = "labels.txt"
"""The class names, one a line, by class number."""
VOCABULARY = "vocabulary.json"
"""What a tokenizer without a counterpart in other libraries has learned."""
_BESIDE = (DESCRIPTION, LABELS, VOCABULARY, TOKENIZER_FILE, TOKENIZER_SETTINGS)
_FORMAT = "format"


def target_folder(directory: str | Path, format_name: str, model_file: str, *, overwrite: bool) -> Path:
    """The folder to make, after a check that nothing is lost.

    Args:
        directory: as the user named it.
        format_name: of the export.
        model_file: the name of its model.
        overwrite: whether an earlier export of this format may be replaced.

    Raises:
        UserError: something else is there, or it is the working directory.
    """

    def is_export(folder: Path) -> bool:
        found = list(folder.iterdir())
        if any(path.name not in (*_BESIDE, model_file) or path.is_symlink() or not path.is_file() for path in found):
            return False
        has_description = (folder / DESCRIPTION).is_file()
        return has_description and read_json(folder / DESCRIPTION).get(_FORMAT) == format_name

    return free_folder(directory, is_export if overwrite else None)


def describe(task: Task) -> dict[str, Any]:
    """What a program that uses the model must know of the task.

    Args:
        task: of the run.
    """
    described: dict[str, Any] = {"task": task.name}
    if task.class_names:
        described["class_names"] = list(task.class_names)
    if isinstance(task, TextTask):
        described["tokenizer"] = task.tokenizer.name
        described["tokens"] = _tokens(task)
    return described


def _tokens(task: TextTask) -> dict[str, Any]:
    """The special tokens, and how the model's texts begin and end."""
    tokenizer = task.tokenizer
    described: dict[str, Any] = {"start_id": tokenizer.start_id, "end_id": tokenizer.end_id, "pad_id": tokenizer.pad_id}
    if isinstance(task, TextClassification):
        described |= {"longest": task.longest, "before": task.frame.before, "after": task.frame.after}
    elif isinstance(task, LanguageModeling):
        described |= {"longest": None if task.carries_state else task.sequence_length, "before": task.begin_id}
    elif isinstance(task, Translation):
        described |= {"longest": task.longest, "after": tokenizer.end_id}
    return described


def write_beside(folder: Path, format_name: str, task: Task, described: Mapping[str, Any]) -> tuple[str, ...]:
    """Writes class names, tokenizer and description.

    Args:
        folder: of the unfinished export.
        format_name: of the export.
        task: of the run.
        described: more for the description.

    Returns:
        Notes for the user.
    """
    write_json(folder / DESCRIPTION, {_FORMAT: format_name, "tfdl_version": __version__, **described})
    if task.class_names:
        # A folder's name, which may be a class name, may have a line break in it.
        lines = [" ".join(name.splitlines()) for name in task.class_names]
        text = "\n".join(lines) + "\n"
        (folder / LABELS).write_bytes(text.encode("utf-8", "surrogateescape"))
    if isinstance(task, TextTask):
        return _write_tokenizer(folder, task)
    if getattr(task, "resized", False):
        height, width, _ = task.image_shape  # type: ignore[attr-defined]
        return (f"images must have {width}x{height} pixels (width x height): the file does not resize them",)
    return ()


def _write_tokenizer(folder: Path, task: TextTask) -> tuple[str, ...]:
    tokenizer = task.tokenizer
    tokens = _tokens(task)
    longest = tokens.get("longest") or 0
    is_classifier = isinstance(task, TextClassification)
    adds_start = tokens.get("before") is not None if is_classifier else getattr(task, "begins_with_start", False)
    adds_end = tokens.get("after") is not None
    if write_tokenizer(folder, tokenizer, longest or 2**30, adds_start=adds_start, adds_end=adds_end):
        return ("texts become token numbers outside of the model, by tokenizer.json (Hugging Face's tokenizers)",)
    (folder / VOCABULARY).write_bytes(file_bytes(tokenizer.name, tokenizer.content()))
    return (
        f"texts become token numbers outside of the model; no other library has tfdl's tokenizer {tokenizer.name}:"
        f" {VOCABULARY} has what it learned",
    )


def size_of(count: float) -> str:
    """A number of bytes for people, such as ``1.4 MiB``.

    Args:
        count: the number.
    """
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.1f} {unit}" if unit != "B" else f"{count:.0f} B"
        count /= 1024
    return f"{count:.1f} GiB"
