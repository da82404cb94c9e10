"""Saves of small checkpoints that are interrupted, and what is found in their folder afterwards."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
from safetensors.numpy import load_file

from tfdl.runs import atomic
from tfdl.runs.checkpoint import DamagedCheckpointError, verify, write_checkpoint
from tfdl.runs.checkpoint_content import CheckpointContent
from tfdl.runs.checkpoint_folder import checkpoint_name, newest_first, prune
from tfdl.runs.progress import Progress

State = tuple[int, float]
"""The step of a checkpoint, and a number that distinguishes two checkpoints of one step."""


def content(state: State, rows: int = 8) -> CheckpointContent:
    """A checkpoint all of whose numbers depend on the state.

    Args:
        state: of the checkpoint.
        rows: of its arrays; one has 8 KB for each.
    """
    step, version = state
    arrays = {
        name: np.full((rows, 2048), step + version + index, np.float32)
        for index, name in enumerate(("a/kernel", "b/kernel"))
    }
    seeds = {"seed_generator_0": np.full(2, step, np.int64)}
    return CheckpointContent(arrays, arrays, seeds, Progress(step=step, validation={"loss": version}))


def save(folder: Path, state: State, rows: int = 8) -> None:
    """Writes a checkpoint and removes all others, as a run with ``keep_checkpoints=1`` does."""
    path = write_checkpoint(folder, content(state, rows))
    prune(folder, 1, state[0], path)


@dataclass(frozen=True)
class Interrupted:
    """A save that may be interrupted."""

    before: State | None
    """Of the checkpoint that is there; none if it is the first save."""
    after: State
    replacing: Callable[[Path, Path], None] | None = None
    """Takes the place of ``atomic._replace_folder``."""

    def prepare(self, folder: Path, rows: int = 8) -> None:
        """Makes the folder as it is before the save."""
        folder.mkdir()
        if self.before is not None:
            save(folder, self.before, rows)

    def run(self, folder: Path, rows: int = 8) -> None:
        """Saves."""
        replacing = self.replacing or atomic._replace_folder
        with patch.object(atomic, "_replace_folder", replacing):
            save(folder, self.after, rows)

    @property
    def allowed(self) -> set[State | None]:
        """What may be found afterwards."""
        return {self.before, self.after}


def without_exchange(target: Path, new: Path) -> None:
    """Replaces a folder as on a file system that cannot exchange two of them."""
    with patch.object(atomic, "exchange", return_value=False):
        REPLACE(target, new)


def two_renames(target: Path, new: Path) -> None:
    """The control: the old folder gets a hidden name, and for a moment there is none."""
    old = target.with_name(f".{target.name}.old")
    old_path = target.rename(old)
    new.rename(target)
    shutil.rmtree(old_path)


REPLACE = atomic._replace_folder
SAVES = {
    "the first": Interrupted(None, (1, 0.0)),
    "the next": Interrupted((1, 0.0), (2, 0.0)),
    "the same step again": Interrupted((2, 0.0), (2, 0.5)),
    "the same step, without an exchange": Interrupted((2, 0.0), (2, 0.5), without_exchange),
}
CONTROL = Interrupted((2, 0.0), (2, 0.5), two_renames)


@dataclass(frozen=True)
class Found:
    """What an interrupted save has left."""

    state: State | None
    """Of the checkpoint from which a run would resume."""
    unreadable: list[str]
    """Folders with a checkpoint's name that are no whole checkpoint."""
    is_reused: bool
    """Whether the next save leaves nothing but its own checkpoint."""


def found_in(folder: Path, rows: int = 8) -> Found:
    """Reads what is in a folder of checkpoints, then saves another one."""
    unreadable = []
    state: State | None = None
    for path in newest_first(folder):
        try:
            verify(path)
        except DamagedCheckpointError:
            unreadable.append(path.name)
            continue
        if state is None:
            state = state_of(path, rows)
    save(folder, (3, 0.0), rows)
    left = sorted(path.name for path in folder.iterdir())
    return Found(state, unreadable, left == ["best", "last", checkpoint_name(3)])


def state_of(path: Path, rows: int = 8) -> State:
    """The state of a whole checkpoint, all of whose numbers are compared."""
    progress = json.loads((path / "progress.json").read_text())
    state = (progress["step"], progress["validation"]["loss"])
    expected = content(state, rows)
    for name in ("model", "optimizer"):
        arrays = load_file(path / f"{name}.safetensors")
        for variable, values in expected.weights.items():
            np.testing.assert_array_equal(arrays[variable], values)
    return state


@contextmanager
def copy_of(template: Path, folder: Path) -> Iterator[Path]:
    """A copy of a folder, which is removed afterwards."""
    shutil.copytree(template, folder, symlinks=True)
    yield folder
    shutil.rmtree(folder)
