"""What a run takes over from the run whose weights it starts from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfdl.config.yaml_files import load_yaml
from tfdl.errors import UserError
from tfdl.json_files import read_json_object

_CHECKPOINTS = "checkpoints"
_LAST = "last"


def base_of(initial_checkpoint: str | Path) -> tuple[Path, str]:
    """The run directory, and the name of the checkpoint in it.

    Args:
        initial_checkpoint: a run directory, which stands for its last checkpoint, or ``RUN/checkpoints/NAME``.

    Raises:
        UserError: there is no such run.
    """
    path = Path(initial_checkpoint).expanduser()
    name = _LAST
    if path.parent.name == _CHECKPOINTS:
        name = path.name
        path = path.parent.parent
    if not path.is_dir():
        raise UserError(f"--initial-checkpoint {str(initial_checkpoint)!r}: no such directory, expected that of a run")
    if not (path / "config.yaml").is_file():
        raise UserError(
            f"--initial-checkpoint {str(initial_checkpoint)!r} is no run (no config.yaml), expected a folder that"
            " `tfdl train` wrote, or one of its checkpoints: RUN/checkpoints/best"
        )
    return path, name


def inherited(initial_checkpoint: str | Path) -> dict[str, Any]:
    """What a run takes over: ``model``, ``task``, ``tokenizer`` if there is one, and the size of inputs in ``dataset``.

    Args:
        initial_checkpoint: as for ``base_of``.

    Raises:
        UserError: there is no such run, or it is incomplete.
    """
    run, _ = base_of(initial_checkpoint)
    values = load_yaml(run / "config.yaml")
    missing = [key for key in ("model", "task") if key not in values]
    if missing:
        raise UserError(f"{run / 'config.yaml'} is incomplete: missing {', '.join(missing)}")
    dataset: dict[str, Any] = {}
    section = values.get("dataset")
    if isinstance(section, Mapping) and section.get("sequence_length") is not None:
        dataset["sequence_length"] = section["sequence_length"]
    image_size = _image_size(run)
    if image_size is not None:
        dataset["image_size"] = image_size
    return {"model": values["model"], "task": values["task"], "tokenizer": values.get("tokenizer"), "dataset": dataset}


def tokenizer_of(initial_checkpoint: str | Path) -> str | None:
    """The name of the tokenizer in a run's configuration; None without one.

    Args:
        initial_checkpoint: as for ``base_of``.

    Raises:
        UserError: as ``inherited``.
    """
    section = inherited(initial_checkpoint)["tokenizer"]
    name = section.get("name") if isinstance(section, Mapping) else section
    return None if name is None else str(name)


def _image_size(run: Path) -> tuple[int, int] | None:
    """Height and width of the images that the run was trained on."""
    assets = run / "assets" / "image_classification.json"
    if not assets.exists():
        return None
    try:
        shape = read_json_object(assets, "train the run again")["image_shape"]
        return int(shape[0]), int(shape[1])
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{assets} cannot be read ({error}); train the run again") from error
