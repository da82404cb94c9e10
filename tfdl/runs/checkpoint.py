"""Checkpoints: weights, optimizer, random state and position, each a folder that is whole or absent."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from tfdl.errors import RunError, UserError
from tfdl.runs.atomic import new_folder, point

_ANOTHER = "use another one (--checkpoint NAME; to resume from it, make the link `last` beside it point to it)"
_FILES = ("model.safetensors", "optimizer.safetensors", "random.safetensors", "progress.json")
# Only where a recurrent model was saved within an epoch.
_CARRIED = "carried.safetensors"


@dataclass
class Progress:
    """How far a run has come; everything that a resumed run needs beside its variables."""

    step: int = 0
    """Optimizer steps done."""
    epoch: int = 0
    """Epochs done."""
    sample: int = 0
    """Samples of the next epoch that are done, over all ranks."""
    block: int = 0
    """The global batch that the order of this epoch was made for; 0 before its first step."""
    running: list[float] = field(default_factory=list)
    """Sums of the running metrics over the part of the epoch that is done, the weight last."""
    examples: int = 0
    """Training samples done, over all ranks and epochs."""
    train_seconds: float = 0.0
    """Time in training steps alone, and the samples it covers, for the speed that the summary states."""
    timed_examples: int = 0
    wall_seconds: float = 0.0
    """Time of the whole run, stopped parts added up."""
    best_step: int = 0
    """The step of the best checkpoint, and its value of the monitored metric."""
    best_value: float | None = None
    validation: dict[str, float] = field(default_factory=dict)
    """The last validation's metrics."""


def save_checkpoint(
    folder: Path, model: Any, optimizer: Any, progress: Progress, carried: Mapping[str, np.ndarray] | None = None
) -> Path:
    """Writes ``folder/step-00001234`` and points ``last`` at it.

    ``optimizer`` is an optimizer, or a list of all variables that updates need beside the model's; ``carried`` is the
    state that a recurrent model goes on from, a row for each row of the global batch.

    The folder holds a manifest with the SHA-256 of each file; nothing in it runs code when it is read.
    """
    target = folder / checkpoint_name(progress.step)
    with new_folder(target, replace=True) as aside:
        # Through Python's own writing, whose errors (a full disk) are the system's.
        (aside / "model.safetensors").write_bytes(save(_values(_by_path(model.weights))))
        (aside / "optimizer.safetensors").write_bytes(save(_values(_by_path(_variables(optimizer)))))
        (aside / "random.safetensors").write_bytes(save(_values(_random_state(model))))
        (aside / "progress.json").write_text(json.dumps(asdict(progress), indent=2) + "\n", encoding="utf-8")
        if carried is not None:
            (aside / _CARRIED).write_bytes(save(dict(carried)))
        manifest = {path.name: _sha256(path) for path in sorted(aside.iterdir())}
        (aside / "manifest.json").write_text(json.dumps({"sha256": manifest}, indent=2) + "\n", encoding="utf-8")
    point(folder / "last", target.name)
    return target


def load_checkpoint(folder: Path, model: Any, optimizer: Any = None) -> Progress:
    """Reads a checkpoint into a model and, when given, its optimizer.

    Raises:
        UserError: the checkpoint belongs to another model or optimizer.
        RunError: a file is missing, or its SHA-256 is not the manifest's.
    """
    verify(folder)
    _assign(_by_path(model.weights), folder / "model.safetensors")
    if optimizer is not None:
        _assign(_by_path(_variables(optimizer)), folder / "optimizer.safetensors")
        _assign(_random_state(model), folder / "random.safetensors")
    return Progress(**json.loads((folder / "progress.json").read_text(encoding="utf-8")))


def load_carried(folder: Path) -> dict[str, np.ndarray] | None:
    """The state that a recurrent model goes on from, where the checkpoint, which was verified, has one."""
    path = folder / _CARRIED
    return load_file(path) if path.exists() else None


def verify(folder: Path) -> None:
    """Compares every file with the manifest."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["sha256"]
        names = dict.fromkeys((*_FILES, *manifest))
        damaged = [name for name in names if manifest.get(name) != _sha256(folder / name)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"checkpoint {folder} is incomplete ({error}); {_ANOTHER}") from error
    if damaged:
        raise RunError(f"checkpoint {folder} is damaged: {', '.join(damaged)} differs from its manifest; {_ANOTHER}")


def prune(folder: Path, keep: int, best_step: int) -> None:
    """Removes all but the newest ``keep`` checkpoints and the best one, and points ``best`` at that."""
    if best_step:
        point(folder / "best", checkpoint_name(best_step))
    spared = {checkpoint_name(best_step)}
    for path in sorted(folder.glob("step-*"))[:-keep]:
        if path.name not in spared:
            shutil.rmtree(path)


def checkpoint_name(step: int) -> str:
    """``step-00001234``."""
    return f"step-{step:08d}"


def _variables(optimizer: Any) -> Sequence[Any]:
    return optimizer if isinstance(optimizer, list) else optimizer.variables


def _random_state(model: Any) -> dict[str, Any]:
    """The states of the model's seed generators (dropout), which ``model.weights`` leaves out.

    By their place in the model: Keras numbers their paths through the whole process.
    """
    weights = {id(variable) for variable in model.weights}
    states = [variable for variable in model.variables if id(variable) not in weights]
    return {f"seed_generator_{place}": variable for place, variable in enumerate(states)}


def _by_path(variables: Sequence[Any]) -> dict[str, Any]:
    named = {variable.path: variable for variable in variables}
    assert len(named) == len(variables), "two variables share a path"
    return named


def _values(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(variable, order="C") for name, variable in variables.items()}


def _assign(variables: Mapping[str, Any], path: Path) -> None:
    try:
        values = load_file(path)
    except SafetensorError as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    expected, found = set(variables), set(values)
    if expected != found:
        missing, extra = sorted(expected - found), sorted(found - expected)
        raise UserError(
            f"{path} belongs to another model or optimizer: it lacks {missing[:3] or 'nothing'} and has"
            f" {extra[:3] or 'nothing'} too many"
        )
    for name, variable in variables.items():
        value = values[name]
        if tuple(value.shape) != tuple(variable.shape):
            raise UserError(f"{path} holds {name} of shape {tuple(value.shape)}, expected {tuple(variable.shape)}")
        variable.assign(value)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
