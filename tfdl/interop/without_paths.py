"""A run's configuration for another machine: the names of data sets and folders, without their paths."""

import os
from pathlib import Path
from typing import Any

from tfdl.config import TrainConfig
from tfdl.config.mapping import to_mapping
from tfdl.data.files.paths import is_local
from tfdl.data.tfds.catalog import is_known

_CHECKPOINTS = "checkpoints"


def without_paths(config: TrainConfig) -> dict[str, Any]:
    """A configuration as plain values, in which the path of a file or folder has become its last name.

    A data set or a tokenizer's folder becomes ``./NAME``, which cannot be taken for a data set of that name. The folder
    of prepared data is left out.

    Args:
        config: of the run.
    """
    values = to_mapping(config)
    dataset = values["dataset"]
    if isinstance(dataset, dict):
        dataset["name"] = data_set_name(dataset["name"])
        dataset["data_dir"] = None
    tokenizer = values["tokenizer"]
    if isinstance(tokenizer, dict) and tokenizer.get("folder"):
        tokenizer["folder"] = _here(tokenizer["folder"])
    if config.initial_checkpoint is not None:
        values["initial_checkpoint"] = base_name(config.initial_checkpoint)
    shortened: dict[str, Any] = _shortened(values)
    return shortened


def data_set_name(name: str) -> str:
    """The name of a data set; of the path of files, or of two paths with a comma between them, ``./`` and the last
    names.

    Args:
        name: as the user gave it.
    """
    has_slash = "/" in name
    is_path = is_local(name) or (has_slash and not is_known(name))
    if not is_path:
        return name
    paths = [name] if os.path.exists(Path(name).expanduser()) else name.split(",")
    return ",".join(map(_here, paths))


def base_name(path: str) -> str:
    """The name of a run's folder, with ``checkpoints/NAME`` if a checkpoint is meant.

    Args:
        path: a run, or ``RUN/checkpoints/NAME``, as the user gave it.
    """
    resolved = Path(path).expanduser().absolute()
    if resolved.parent.name == _CHECKPOINTS:
        return "/".join(resolved.parts[-3:])
    return resolved.name


def _here(path: str) -> str:
    return f"./{Path(path).expanduser().absolute().name}"


def _shortened(value: Any) -> Any:
    """Shortens absolute paths in fields of the user's own parts, too."""
    if isinstance(value, dict):
        return {key: _shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    is_absolute = isinstance(value, str) and value.startswith(("/", "~"))
    return _here(value) if is_absolute else value
