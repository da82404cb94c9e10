"""What tells the folder of an earlier export from others: the names of its files. No TensorFlow is imported."""

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from tfdl.data.tokenizers.huggingface_files import TOKENIZER_FILE, TOKENIZER_SETTINGS
from tfdl.errors import UserError
from tfdl.interop.adapter_folder import adapter_files, is_adapter
from tfdl.interop.json_file import read_json
from tfdl.interop.model_folder import CONFIG, PREPROCESSING, WEIGHTS, WRITTEN_BY
from tfdl.runs import RunDirectory
from tfdl.runs.free_folder import free_folder

DESCRIPTION = "tfdl.json"
"""What the model takes and returns. Its key ``format`` tells an export from other folders."""
FORMAT_KEY = "format"
LABELS = "labels.txt"
"""The class names, one a line, by class number."""
VOCABULARY = "vocabulary.json"
"""What a tokenizer without a counterpart in other libraries has learned."""
SAVED_MODEL = "saved_model.pb"
MODEL_FILES = {"keras": "model.keras", "onnx": "model.onnx", "litert": "model.tflite"}
"""Format -> the model's file, for exports that are one file."""
HUGGING_FACE = "huggingface"
ADAPTER_FORMAT = "lora"
_BESIDE = (DESCRIPTION, LABELS, VOCABULARY, TOKENIZER_FILE, TOKENIZER_SETTINGS)
_HUGGING_FACE_FILES = (CONFIG, WEIGHTS, PREPROCESSING, TOKENIZER_FILE, TOKENIZER_SETTINGS)


def format_of(folder: Path) -> str:
    """The format of the export that a folder has, such as ``onnx``; empty if it has none.

    Args:
        folder: any folder.
    """
    if (folder / SAVED_MODEL).is_file() or any(
        path.parent.name.isdecimal() for path in folder.glob(f"*/{SAVED_MODEL}")
    ):
        return "saved_model"
    if is_adapter(folder):
        return ADAPTER_FORMAT
    if {CONFIG, WEIGHTS} <= {path.name for path in folder.iterdir()} and WRITTEN_BY in _read(folder / CONFIG):
        return HUGGING_FACE
    name = _read(folder / DESCRIPTION).get(FORMAT_KEY)
    return name if isinstance(name, str) and name.isidentifier() else ""


def free_for_file(directory: str | Path, format_name: str, *, overwrite: bool) -> Path:
    """The folder of an export that is one file, after a check that it is free.

    Args:
        directory: as the user named it.
        format_name: of the export, one of ``MODEL_FILES``.
        overwrite: whether an earlier export of this format may be replaced.

    Raises:
        UserError: something else is there, or it is the working directory.
    """
    objection = _objection_to(format_name, (*_BESIDE, MODEL_FILES[format_name]))
    return free_folder(directory, objection, overwrite=overwrite)


def free_for_hugging_face(directory: str | Path, *, overwrite: bool) -> Path:
    """As ``free_for_file``, for a folder that transformers reads.

    Args:
        directory: as the user named it.
        overwrite: whether an earlier export of this format may be replaced.
    """
    return free_folder(directory, _objection_to(HUGGING_FACE, _HUGGING_FACE_FILES), overwrite=overwrite)


def free_for_adapter(directory: str | Path, run: RunDirectory, *, overwrite: bool) -> Path:
    """As ``free_for_file``, for an adapter.

    Args:
        directory: as the user named it.
        run: of the adapter, whose files it has.
        overwrite: whether an earlier export of this format may be replaced.
    """
    return free_folder(directory, _objection_to(ADAPTER_FORMAT, adapter_files(run)), overwrite=overwrite)


def _objection_to(format_name: str, names: Collection[str]) -> Callable[[Path], str]:
    return partial(_objection, format_name=format_name, names=names)


def _objection(folder: Path, format_name: str, names: Collection[str]) -> str:
    """Why a folder must not be replaced by an export of a format whose files have these names; or nothing."""
    found = format_of(folder)
    if found and found != format_name:
        return f"has an export of the format {found}"
    if RunDirectory(folder).has_run() and not found:
        return "is a run"
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        is_known_folder = any(other.startswith(f"{name}/") for other in names)
        if name not in names or path.is_symlink() or not (path.is_file() or is_known_folder):
            return f"has {name!r}, which such an export does not write"
    return "" if found else "has no export of tfdl"


def _read(path: Path) -> dict[str, object]:
    """A JSON file of the folder; empty if it is missing or damaged."""
    try:
        return read_json(path) if path.is_file() else {}
    except UserError:
        return {}
