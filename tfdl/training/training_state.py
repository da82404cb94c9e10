"""Everything that training changes, and that a resumed run needs."""

import copy
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfdl.distributed.state import broadcast_state, fold_rank_into_seeds, seed_generators
from tfdl.models.keras_model import finalize_layers
from tfdl.runs import Progress, load_callbacks, load_carried, load_checkpoint
from tfdl.runs.checkpoint_content import CheckpointContent
from tfdl.runs.checkpoint_shards import Shard
from tfdl.training.averaged_weights import averaged_weights, swap_averages
from tfdl.training.callback_states import CallbackStates
from tfdl.training.carried_state import Rows
from tfdl.training.trainer import Trainer


@dataclass(frozen=True)
class Commit:
    """A copy of a training's state in this process's memory."""

    variables: list[np.ndarray]
    """Weights, statistics, random streams, the optimizer's state and the loss scale, in the trainer's order."""
    carried: Rows | None
    """The carried state of all ranks' rows; None at the end of an epoch."""
    callbacks: dict[str, Any]
    """The states of the callbacks, by name."""
    progress: Progress
    rank: int
    """The rank that made it: the random streams are those of this rank."""
    time: float
    """When it was made, in seconds since the epoch. ``progress.wall_seconds`` counts the time until then."""


class TrainingState:
    """The variables of a training, its progress, its carried state and the states of its callbacks.

    Args:
        trainer: has the model, the optimizer and the carried state.
        callbacks: the states of the callbacks.
        begin: the wall time since then is counted, in seconds since the epoch.
        by_order: whether the names of variables may differ from those in a checkpoint (a user's own Keras model).

    Attributes:
        progress: how far the run has come; kept up to date by the training loop.
        note: says that a recurrent model's carried state was not restored; empty if it was.
        callbacks_note: names the callbacks that a resumed run could not restore; empty if there are none.
    """

    def __init__(self, trainer: Trainer, callbacks: CallbackStates, begin: float, by_order: bool = False):
        self.progress = Progress()
        self.note = ""
        self.callbacks_note = ""
        self._trainer = trainer
        self._callbacks = callbacks
        self._counted_until = begin
        self._by_order = by_order
        self._world = trainer.world
        self._carried_rows: Rows | None = None
        self._callback_values: dict[str, Any] = {}
        self._has_restored_callbacks = False

    def load(self, folder: Path) -> None:
        """Reads a checkpoint; called on rank 0, before ``share``.

        Args:
            folder: of the checkpoint.

        Raises:
            UserError: it belongs to another model or optimizer.
            RunError: it is incomplete or damaged.
        """
        trainer = self._trainer
        self.progress = load_checkpoint(folder, trainer.model, trainer.update_variables, by_order=self._by_order)
        self._carried_rows = load_carried(folder)
        self._callback_values = load_callbacks(folder)
        # The weights in a checkpoint are the running averages, if the optimizer keeps them.
        swap_averages(trainer.optimizer)

    def take(self, commit: Commit) -> None:
        """Returns to a commit; called on the rank that has it, before ``share``.

        Args:
            commit: of this process.
        """
        self.progress = copy.deepcopy(commit.progress)
        self._counted_until = commit.time
        self._carried_rows = commit.carried
        self._callback_values = commit.callbacks
        for variable, value in zip(self._trainer.variables, commit.variables, strict=True):
            variable.assign(value)
        # ``share`` expects the random streams of rank 0.
        fold_rank_into_seeds(seed_generators(self._trainer.model), -commit.rank)

    def share(self, root: int = 0) -> None:
        """Gives every rank the state of one rank; called on every rank.

        Args:
            root: the rank whose state it is.
        """
        own = (self.progress, self._counted_until, self._carried_rows, self._callback_values)
        shared = self._world.broadcast_object(own, root)
        self.progress, self._counted_until, carried_rows, self._callback_values = shared
        if not self._trainer.carried.restore(carried_rows, self.progress.sample, self.progress.epoch_batch):
            self.note = (
                f"this epoch began with {self.progress.epoch_batch} windows in a step: until it ends, each window"
                " begins with a state of zeros"
            )
        broadcast_state(self._trainer.variables, self._world, root)
        finalize_layers(self._trainer.model)
        fold_rank_into_seeds(seed_generators(self._trainer.model), self._world.rank)
        # The rows are in the carried state's variables now.
        self._carried_rows = None
        is_resumed = self.progress.step > 0
        if is_resumed:
            self._note_new_callbacks()

    def restore_callbacks(self) -> None:
        """Gives the loaded states to the callbacks; called after their ``on_start``, which may reset them."""
        self._callbacks.set(self._callback_values)
        self._callback_values = {}
        self._has_restored_callbacks = True

    def commit(self) -> Commit:
        """Copies everything to memory; called on every rank. It takes about as long as reading the variables."""
        self.count_wall_time()
        return Commit(
            variables=[np.array(variable) for variable in self._trainer.variables],
            carried=self._gathered_rows(),
            # A callback may return the object that it changes later.
            callbacks=copy.deepcopy(self._callbacks.get() if self._has_restored_callbacks else self._callback_values),
            progress=copy.deepcopy(self.progress),
            rank=self._world.rank,
            time=self._counted_until,
        )

    @property
    def variables(self) -> list[Any]:
        """What the largest files of a checkpoint have."""
        return [*self._trainer.model.weights, *self._trainer.update_variables]

    def content(self, shard: Shard | None = None) -> CheckpointContent | None:
        """Copies what this rank writes of a checkpoint to memory; called on every rank.

        Args:
            shard: of this rank; without shards, rank 0 writes everything.

        Returns:
            ``None`` on a rank that writes nothing.
        """
        self.count_wall_time()
        rows = self._gathered_rows()
        trainer = self._trainer
        with self._world.agreement():
            if shard is None and not self._world.is_chief:
                return None
            states = self._callbacks.get() if self._world.is_chief else {}
            updates = trainer.update_variables
            with averaged_weights(trainer.optimizer):
                content = CheckpointContent.of(trainer.model, updates, self.progress, carried=rows, callbacks=states)
                return (content if shard is None else content.part(shard)).copied()

    def count_wall_time(self) -> None:
        """Adds the wall time since the last call to the progress."""
        now = time.time()
        self.progress.wall_seconds += now - self._counted_until
        self._counted_until = now

    def _gathered_rows(self) -> Rows | None:
        """All ranks' carried state within an epoch; None between epochs, because an epoch begins with zeros."""
        if not self.progress.sample:
            return None
        return self._trainer.carried.gathered()

    def _note_new_callbacks(self) -> None:
        names = self._callbacks.starting_anew(self._callback_values)
        if names:
            self.callbacks_note = f"callbacks that start anew, since no checkpoint has their state: {', '.join(names)}"
