"""Checkpoints: weights, optimizer, random state and progress. Each is a folder that is complete or absent."""

import copy
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from safetensors import SafetensorError
from safetensors.numpy import load_file

from tfdl.errors import RunError, UserError
from tfdl.json_files import read_json_object
from tfdl.models.keras_model import finalize_layers
from tfdl.runs.atomic import make_unfinished, new_folder, put_in_place, remove_folder, replace_link
from tfdl.runs.checkpoint_shards import Shard, keys_of_shard
from tfdl.runs.plain_state import copied_state, read_state, write_state
from tfdl.runs.progress import Progress
from tfdl.runs.stored_tensors import names_of_parts, shard_name
from tfdl.runs.variables import by_path, read_variables, write_variables

_ADVICE = "use another one (--checkpoint NAME); --resume passes over it"
WEIGHTS = "model.safetensors"
"""The file of the model's variables, within a checkpoint."""
_OPTIMIZER = "optimizer.safetensors"
# Either a file or its shards.
_DIVIDED = (WEIGHTS, _OPTIMIZER)
_UNDIVIDED = ("random.safetensors", "progress.json")
# What a process that is killed leaves: a checkpoint, or a link that was to replace another one.
_UNFINISHED = (".step-*", ".last.*", ".best.*")
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


@dataclass(frozen=True)
class CheckpointContent:
    """What is written to a checkpoint."""

    weights: Mapping[str, Any]
    """Name -> variable of the model, or an array with its value."""
    optimizer: Mapping[str, Any]
    """The same for the variables that updates need besides the model's."""
    random: Mapping[str, Any]
    """The same for the states of the model's seed generators."""
    progress: Progress
    carried: Mapping[str, np.ndarray] | None = None
    """State of a recurrent language model within an epoch, name -> array with one row for each row of the global
    batch."""
    callbacks: Mapping[str, Any] = field(default_factory=dict)
    """States of callbacks, by name."""
    shard: Shard | None = None
    """Which shard these weights and variables of the optimizer are; ``None`` for all of them."""
    orders: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """File -> the names in all of its shards, in their order."""

    @classmethod
    def of(cls, model: Any, optimizer: Any, progress: Progress, **states: Any) -> "CheckpointContent":
        """The content of a checkpoint of a model as it is now.

        Args:
            model: the ``keras.Model``.
            optimizer: an optimizer, or a list of all variables that updates need besides the model's.
            progress: how far the run has come.
            **states: ``carried`` and ``callbacks``.
        """
        return cls(by_path(model.weights), by_path(_variables(optimizer)), _random_state(model), progress, **states)

    def part(self, shard: Shard) -> "CheckpointContent":
        """What one rank writes of it.

        Args:
            shard: which part.
        """
        files = {WEIGHTS: self.weights, _OPTIMIZER: self.optimizer}
        sizes = {
            (file, name): _num_bytes(variable)
            for file, variables in files.items()
            for name, variable in variables.items()
        }
        chosen = keys_of_shard(sizes, shard)
        return replace(
            self,
            weights={name: variable for name, variable in self.weights.items() if (WEIGHTS, name) in chosen},
            optimizer={name: variable for name, variable in self.optimizer.items() if (_OPTIMIZER, name) in chosen},
            shard=shard,
            orders={WEIGHTS: list(self.weights), _OPTIMIZER: list(self.optimizer)},
        )

    def copied(self) -> "CheckpointContent":
        """A copy in memory, which stays as it is while the training goes on."""
        return replace(
            self,
            weights=_arrays(self.weights),
            optimizer=_arrays(self.optimizer),
            random=_arrays(self.random),
            progress=copy.deepcopy(self.progress),
            callbacks=copied_state(self.callbacks),  # the carried state was gathered for this checkpoint
        )


def _arrays(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.array(variable) for name, variable in variables.items()}


def _num_bytes(variable: Any) -> int:
    return math.prod(variable.shape) * tf.as_dtype(variable.dtype).size


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
    parts = {WEIGHTS: content.weights, _OPTIMIZER: content.optimizer}
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
    random, progress = written = list(_UNDIVIDED)
    write_variables(folder / random, content.random)
    text = json.dumps(asdict(content.progress), indent=2)
    (folder / progress).write_text(f"{text}\n", encoding="utf-8")
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
        read_variables(folder / _OPTIMIZER, by_path(_variables(optimizer)), by_order=by_order)
        read_variables(folder / "random.safetensors", _random_state(model))
    path = folder / "progress.json"
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
        names = dict.fromkeys((*divided, *_UNDIVIDED, *manifest))  # in this order, each once
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


def prune(folder: Path, keep: int, best_step: int, newest: Path) -> None:
    """Removes old checkpoints and unfinished ones, and makes the link ``best`` point to the best one.

    Checkpoints of later steps than the newest one are removed as well: a run that was resumed from an earlier one, as
    when they are damaged, makes these steps again.

    An unfinished one is left when a process is killed while it writes. No other process writes to the folder.

    Args:
        folder: the run's folder of checkpoints.
        keep: number of the newest checkpoints that stay, at least 1.
        best_step: the step of the best checkpoint, which always stays; 0 without one.
        newest: the checkpoint that was written last.
    """
    link = folder / "best"
    # It is not there if it could not be written. The best one that is there stays then.
    if best_step and (folder / checkpoint_name(best_step)).is_dir():
        replace_link(link, checkpoint_name(best_step))
    if link.is_symlink() and link.resolve().name > newest.name:
        link.unlink()  # of steps that are made again
    best = link.resolve().name
    checkpoints = sorted(folder.glob("step-*"))
    place = checkpoints.index(newest)
    for path in [*checkpoints[: max(0, place + 1 - keep)], *checkpoints[place + 1 :]]:
        if path.name != best:
            remove_folder(path)
    for pattern in _UNFINISHED:
        for path in folder.glob(pattern):
            with suppress(OSError):
                remove_folder(path)


def newest_first(folder: Path) -> list[Path]:
    """A run's checkpoints: that of the link ``last``, then the others by their steps.

    Args:
        folder: the run's folder of checkpoints.
    """
    last = folder / "last"
    others = sorted(folder.glob("step-*"), reverse=True)
    first = [last.resolve()] if last.is_dir() else []
    found = dict.fromkeys([*first, *(path.resolve() for path in others)])
    inside = folder.resolve()
    return [path for path in found if path.parent == inside]  # a link may lead elsewhere


def checkpoint_name(step: int) -> str:
    """The name of a checkpoint's folder, such as ``step-00001234``."""
    return f"step-{step:08d}"


def _variables(optimizer: Any) -> Sequence[Any]:
    return optimizer if isinstance(optimizer, list) else optimizer.variables


def _random_state(model: Any) -> dict[str, Any]:
    """The states of the model's seed generators (dropout), which are not part of ``model.weights``.

    They are named by their order in the model. Keras numbers their paths over the whole process, so the same model
    has other paths when it is built again.
    """
    weights = {id(variable) for variable in model.weights}
    states = [variable for variable in model.variables if id(variable) not in weights]
    return {f"seed_generator_{index}": variable for index, variable in enumerate(states)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
