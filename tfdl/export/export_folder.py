"""The folder of an export that is one file: the model, and files that say what it takes and returns."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tfdl import __version__
from tfdl.data.tokenizers.file import file_bytes
from tfdl.export.earlier_export import DESCRIPTION, FORMAT_KEY, LABELS, MODEL_FILES, VOCABULARY, free_for_file
from tfdl.export.task_description import described_task, described_tokens
from tfdl.export.tensors import TensorType, as_json
from tfdl.interop.tokenizer_writing import write_tokenizer
from tfdl.runs.atomic import new_folder, write_json
from tfdl.tasks.task import Task, TextTask
from tfdl.tasks.text_classification import TextClassification


@dataclass(frozen=True)
class ExportFolder:
    """An export that is not finished."""

    target: Path
    """Where it will be."""
    unfinished: Path
    """Where it is made."""
    format_name: str

    @property
    def model(self) -> Path:
        """The model's file."""
        return self.unfinished / MODEL_FILES[self.format_name]

    @property
    def files(self) -> tuple[str, ...]:
        """The names of all files so far."""
        return tuple(sorted(path.name for path in self.unfinished.iterdir()))

    @contextmanager
    def work_folder(self) -> Iterator[Path]:
        """Yields a folder for files that do not become part of the export. It is removed at the end.

        It is where the export will be, since files as large as the model may not fit where temporary files are.
        """
        with tempfile.TemporaryDirectory(dir=self.unfinished) as name:
            yield Path(name)

    def write_beside(
        self, task: Task, precision: str, inputs: Mapping[str, TensorType], outputs: Mapping[str, TensorType]
    ) -> tuple[str, ...]:
        """Writes description, class names and tokenizer.

        Args:
            task: of the run.
            precision: of the model's weights.
            inputs: what the model takes.
            outputs: what it returns.

        Returns:
            Notes for the user.
        """
        description = {
            FORMAT_KEY: self.format_name,
            "tfdl_version": __version__,
            **described_task(task),
            "precision": precision,
            "takes": as_json(inputs),
            "returns": as_json(outputs),
        }
        write_json(self.unfinished / DESCRIPTION, description)
        if task.class_names:
            # A folder's name, which may be a class name, may have a line break in it.
            lines = [" ".join(name.splitlines()) for name in task.class_names]
            text = "\n".join(lines) + "\n"
            (self.unfinished / LABELS).write_bytes(text.encode("utf-8", "surrogateescape"))
        if isinstance(task, TextTask):
            return _write_tokenizer(self.unfinished, task)
        if getattr(task, "resized", False):
            height, width, _ = task.image_shape  # type: ignore[attr-defined]
            return (f"images must have {width}x{height} pixels (width x height): the file does not resize them",)
        return ()


@contextmanager
def export_folder(directory: str | Path, format_name: str, *, overwrite: bool) -> Iterator[ExportFolder]:
    """Yields a folder to fill. It becomes ``directory`` at the end, and is removed after an error.

    Args:
        directory: as the user named it.
        format_name: of the export, one of ``MODEL_FILES``.
        overwrite: whether an earlier export of this format may be replaced.

    Raises:
        UserError: something else is there, or it is the working directory.
    """
    target = free_for_file(directory, format_name, overwrite=overwrite)
    with new_folder(target, replace=overwrite) as unfinished:
        yield ExportFolder(target, unfinished, format_name)
        # Somebody may have put something there meanwhile.
        free_for_file(directory, format_name, overwrite=overwrite)


def _write_tokenizer(folder: Path, task: TextTask) -> tuple[str, ...]:
    tokenizer = task.tokenizer
    tokens = described_tokens(task)
    longest = tokens["longest"] or 2**30
    is_classifier = isinstance(task, TextClassification)
    adds_start = tokens["before"] is not None if is_classifier else getattr(task, "begins_with_start", False)
    adds_end = tokens["after"] is not None
    if write_tokenizer(folder, tokenizer, longest, adds_start=adds_start, adds_end=adds_end):
        return ("texts become token numbers outside of the model, by tokenizer.json (Hugging Face's tokenizers)",)
    (folder / VOCABULARY).write_bytes(file_bytes(tokenizer.name, tokenizer.content()))
    return (
        f"texts become token numbers outside of the model; no other library has tfdl's tokenizer {tokenizer.name}:"
        f" {VOCABULARY} has what it learned",
    )
