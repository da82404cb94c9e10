"""Checkpoints: weights, optimizer, random state and progress. Each is a folder that is complete or absent."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from tfdl.errors import RunError, UserError
from tfdl.json_files import read_json_object
from tfdl.models.keras_model import finalize_layers
from tfdl.runs.atomic import make_unfinished, new_folder, put_in_place, replace_link
from tfdl.runs.checkpoint_content import OPTIMIZER, WEIGHTS, CheckpointContent, optimizer_variables, random_state
from tfdl.runs.checkpoint_folder import checkpoint_name
from tfdl.runs.plain_state import read_state, write_state
from tfdl.runs.progress import Progress
from tfdl.runs.stored_tensors import names_of_parts, shard_name
from tfdl.runs.variables import by_path, read_variables, write_variables

_ADVICE = "use another one (--checkpoint NAME); --resume passes over it"
# Either a file or its shards.
_DIVIDED = (WEIGHTS, OPTIMIZER)
_RANDOM = "random.safetensors"
_PROGRESS = "progress.json"
# Only when a recurrent language model was saved within an epoch.
_CARRIED = "carried.safetensors"
# Only when a callback keeps a state: two files of this name.
_CALLBACKS = "callbacks"


class DamagedCheckpointError(RunError):
    """A checkpoint that cannot be used."""

    @property
    def fault(self) -> str:
        """The message without the advice."""
        return str(self).removesuffix(f"; {_ADVICE}")


def save_checkpoint(folder: Path, model: Any, optimizer: Any, progress: Progress, **states: Any) -> Path:
    """``write_checkpoint`` of a model as it is now; the arguments are those of ``CheckpointContent.of``."""
    return write_checkpoint(folder, CheckpointContent.of(model, optimizer, progress, **states))


def write_checkpoint(folder: Path, content: CheckpointContent) -> Path:
    """Writes ``folder/step-00001234`` and makes the link ``last`` point to it.

    The checkpoint has a manifest with the SHA-256 of each file. Reading it runs no code from it.

    Args:
        folder: the run's folder of checkpoints.
        content: what to write.

    Returns:
        The path of the checkpoint.
    """
    target = folder / checkpoint_name(content.progress.step)
    with new_folder(target, replace=True) as temporary:
        _write_manifest(temporary, write_files(temporary, content))
    replace_link(folder / "last", target.name)
    return target


def write_files(folder: Path, content: CheckpointContent) -> dict[str, str]:
    """Writes the files of a checkpoint, or of one shard.

    Args:
        folder: where they go; it may have the files of other shards.
        content: what to write.

    Returns:
        The SHA-256 of each file that was written, by name.
    """
    parts = {WEIGHTS: content.weights, OPTIMIZER: content.optimizer}
    written = []
    for name, variables in parts.items():
        file = name if content.shard is None else shard_name(name, content.shard.index, content.shard.count)
        write_variables(folder / file, variables, content.orders.get(name))
        written.append(file)
    if content.shard is None or content.shard.is_first:
        written += _write_undivided(folder, content)
    return {name: _sha256(folder / name) for name in written}


def _write_undivided(folder: Path, content: CheckpointContent) -> list[str]:
    """Writes what is small, and returns the names of the files."""
    written = [_RANDOM, _PROGRESS]
    write_variables(folder / _RANDOM, content.random)
    progress = json.dumps(asdict(content.progress), indent=2)
    (folder / _PROGRESS).write_text(f"{progress}\n", encoding="utf-8")
    if content.carried is not None:
        write_variables(folder / _CARRIED, content.carried)
        written.append(_CARRIED)
    if content.callbacks:
        written += write_state(folder, _CALLBACKS, content.callbacks)
    return written


def begin_sharded(folder: Path, step: int) -> Path:
    """Makes a hidden folder for the shards of a checkpoint, and returns it.

    Args:
        folder: the run's folder of checkpoints.
        step: of the checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return make_unfinished(folder / checkpoint_name(step))


def finish_sharded(unfinished: Path, step: int, manifest: Mapping[str, str]) -> Path:
    """Makes a checkpoint of a folder that has all shards, and the link ``last`` point to it.

    Args:
        unfinished: what ``begin_sharded`` returned.
        step: of the checkpoint.
        manifest: the SHA-256 of each file, by name.

    Returns:
        The path of the checkpoint.
    """
    folder = unfinished.parent
    target = folder / checkpoint_name(step)
    _write_manifest(unfinished, manifest)
    put_in_place(unfinished, target, replace=True)
    replace_link(folder / "last", target.name)
    return target


def _write_manifest(folder: Path, manifest: Mapping[str, str]) -> None:
    text = json.dumps({"sha256": dict(sorted(manifest.items()))}, indent=2)
    # Without a line break at the end, there is no byte that it could lose and still be complete.
    (folder / "manifest.json").write_text(text, encoding="utf-8")


def load_checkpoint(folder: Path, model: Any, optimizer: Any = None, *, by_order: bool = False) -> Progress:
    """Reads a checkpoint into a model and, when given, its optimizer.

    Args:
        folder: the checkpoint.
        model: a ``keras.Model`` with the same variables as the saved one.
        optimizer: an optimizer, or a list of variables, as in ``save_checkpoint``. ``None`` reads the weights only.
        by_order: whether the variables' names may differ (see ``read_variables``).

    Raises:
        UserError: the checkpoint belongs to another model or optimizer.
        DamagedCheckpointError: a file is missing, or its SHA-256 differs from the manifest.
    """
    verify(folder)
    read_variables(folder / WEIGHTS, by_path(model.weights), by_order=by_order)
    finalize_layers(model)
    if optimizer is not None:
        read_variables(folder / OPTIMIZER, by_path(optimizer_variables(optimizer)), by_order=by_order)
        read_variables(folder / _RANDOM, random_state(model))
    path = folder / _PROGRESS
    try:
        return Progress.from_json(read_json_object(path, _ADVICE), path)
    except UserError as error:
        raise DamagedCheckpointError(str(error)) from error


def load_callbacks(folder: Path) -> dict[str, Any]:
    """Returns the states of callbacks from a verified checkpoint, by name.

    Raises:
        DamagedCheckpointError: the files cannot be read.
    """
    try:
        states: dict[str, Any] = read_state(folder, _CALLBACKS)
    except RunError as error:
        raise DamagedCheckpointError(str(error)) from error
    return states


def load_carried(folder: Path) -> dict[str, np.ndarray] | None:
    """Returns the state of a recurrent language model from a verified checkpoint, or ``None`` when it has none.

    Raises:
        DamagedCheckpointError: the file cannot be read.
    """
    path = folder / _CARRIED
    if not path.exists():
        return None
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise DamagedCheckpointError(f"{path} cannot be read ({error}); {_ADVICE}") from error


def verify(folder: Path) -> None:
    """Compares every file of a checkpoint with its manifest.

    Raises:
        DamagedCheckpointError: a file is missing, or its SHA-256 differs from the manifest.
    """
    try:
        manifest = read_json_object(folder / "manifest.json", _ADVICE)["sha256"]
        divided = [part for name in _DIVIDED for part in names_of_parts(name, list(manifest))]
        names = dict.fromkeys((*divided, _RANDOM, _PROGRESS, *manifest))  # in this order, each once
        for name in names:
            if Path(name).name != name:
                raise ValueError(f"its manifest names {name!r}, which is in no checkpoint")
        damaged = [name for name in names if manifest.get(name) != _sha256(folder / name)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedCheckpointError(f"checkpoint {folder} is incomplete ({error}); {_ADVICE}") from error
    if damaged:
        verb = "differs" if len(damaged) == 1 else "differ"
        names_of_damaged = ", ".join(damaged)
        raise DamagedCheckpointError(
            f"checkpoint {folder} is damaged: {names_of_damaged} {verb} from its manifest; {_ADVICE}"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
