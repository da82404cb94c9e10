"""What a SavedModel of tfdl says about itself, in a folder that TensorFlow Serving does not read."""

import json
from pathlib import Path
from typing import Any

from tfdl import __version__
from tfdl.config import DATASETS
from tfdl.errors import UserError
from tfdl.export.task_description import described_task
from tfdl.runs.load import LoadedRun
from tfdl.tasks.image_classification import ImageClassification

_FILE = Path("assets.extra") / "tfdl.json"
# Far above the names of any number of classes.
_MOST_BYTES = 16 * 2**20
# A server makes an image of that size before the first request.
_LONGEST_SIDE = 2**14

Description = dict[str, Any]
"""``tfdl_version``, ``model``, and what ``described_task`` has; ``dataset`` if it is a declared one, whose name is no
path; for images ``image_shape`` (height, width, channels) and ``resized``."""


def describe(loaded: LoadedRun) -> Description:
    """What is known of a model. Nothing of it depends on the machine or the user.

    Args:
        loaded: the run.
    """
    description: Description = {
        "tfdl_version": __version__,
        **described_task(loaded.task),
        "model": loaded.config.model.label,
    }
    if isinstance(loaded.task, ImageClassification):
        description["image_shape"] = list(loaded.task.image_shape)
        description["resized"] = loaded.task.resized
    if loaded.config.dataset.name in DATASETS:
        description["dataset"] = loaded.config.dataset.name
    return description


def write_description(folder: Path, description: Description) -> None:
    """Writes the description beside a SavedModel.

    Args:
        folder: of the SavedModel.
        description: as ``describe`` returns it.
    """
    path = folder / _FILE
    path.parent.mkdir()
    path.write_text(json.dumps(description, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_description(folder: Path) -> Description | None:
    """The description of a SavedModel, or ``None`` if tfdl did not write it.

    Args:
        folder: of the SavedModel.

    Raises:
        UserError: the file cannot be read as tfdl writes it.
    """
    path = folder / _FILE
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"more than {_MOST_BYTES:,} bytes")
        description = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{str(path)!r} is damaged ({error}); export the model again") from error
    names = description.get("class_names", []) if isinstance(description, dict) else None
    if names is None or not isinstance(description.get("task"), str) or not isinstance(names, list):
        raise UserError(f"{str(path)!r} does not describe a model of tfdl; export the model again")
    if not all(_is_plain(description.get(name, "")) for name in ("task", "model", "dataset", "tfdl_version")):
        raise UserError(f"{str(path)!r} has a name with control characters; export the model again")
    if "image_shape" in description and not _is_image_shape(description["image_shape"]):
        raise UserError(
            f"{str(path)!r} has an image_shape that is not height, width and channels; export the model again"
        )
    return dict(description)


def _is_plain(name: Any) -> bool:
    """Whether a name can be printed on a terminal."""
    return isinstance(name, str) and name.isprintable()


def _is_image_shape(shape: Any) -> bool:
    is_right = isinstance(shape, list) and len(shape) == 3 and all(type(size) is int for size in shape)
    return is_right and all(1 <= size <= _LONGEST_SIDE for size in shape[:2]) and shape[2] in (1, 3)
