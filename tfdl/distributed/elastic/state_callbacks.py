"""Callbacks that keep a state in step with ``fit``."""

from typing import Any

import keras

from tfdl.distributed.elastic.keras_state import KerasState, ProgressCallback
from tfdl.errors import UserError


class CommitStateCallback(keras.callbacks.Callback):
    """Commits a state every few batches, and at the end of each epoch.

    After a rank is lost, the steps since the last commit are repeated. A commit copies all variables of the model and
    the optimizer to memory. Put it last, so that what other callbacks change at the end of an epoch is committed.

    Args:
        state: a ``KerasState``.
        batches_per_commit: batches of a rank between two commits.

    Raises:
        UserError: ``batches_per_commit`` is below 1.
    """

    works_over_ranks = True

    def __init__(self, state: KerasState, batches_per_commit: int = 1):
        super().__init__()
        if batches_per_commit < 1:
            raise UserError(f"CommitStateCallback batches_per_commit={batches_per_commit}, expected at least 1")
        self.state = state
        self.batches_per_commit = batches_per_commit

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._committed_batches = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        # With `steps_per_execution`, Keras calls this once for several batches.
        is_due = batch + 1 - self._committed_batches >= self.batches_per_commit
        # The last batch is committed with the end of the epoch: a commit before it would leave no batch to continue
        # with, and Keras cannot train an epoch without one.
        is_last = batch + 1 == self.params.get("steps")
        if is_last or not is_due:
            return
        self._committed_batches = batch + 1
        for callback in self.state.progress:
            callback.on_train_batch_end(batch)  # it may come later in the list of callbacks
        self.state.commit()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        for callback in self.state.progress:
            callback.on_epoch_end(epoch)
        self.state.commit()


class UpdateBatchStateCallback(keras.callbacks.Callback):
    """Keeps ``state.batch``: how many batches of the epoch each rank has done; 0 at the end of the epoch.

    The data of the first epoch of ``fit`` must begin after ``state.batch`` batches of a rank::

        batches = batches_of(state.epoch).shard(world.size, world.rank).skip(state.batch)

    If the ranks change within an epoch, ``state.batch`` is adapted to their new number: after 12 batches on each of 2
    ranks it is 24 on one rank, and 8 on three. It is rounded down, so some samples may be used twice, and none is left
    out.

    Args:
        state: a ``KerasState`` with a value ``batch``.

    Raises:
        UserError: the state has no value ``batch``.
    """

    works_over_ranks = True

    def __init__(self, state: KerasState):
        super().__init__()
        _check_value(state, "batch")
        self.state = state

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        _register(self, self.state)
        self._done_before = self.state.batch
        self._batches_in_epoch: int | None = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        steps = self.params.get("steps")
        self._batches_in_epoch = None if steps is None else self._done_before + steps

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.state.batch = self._done_before + batch + 1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._done_before = 0
        self.state.batch = 0

    def adapt(self, old_ranks: int, new_ranks: int) -> None:
        """See ``ProgressCallback.adapt``."""
        batches = self.state.batch * old_ranks // new_ranks
        if self._batches_in_epoch is not None:  # one batch is left at least, since Keras cannot train an empty epoch
            batches = min(batches, self._batches_in_epoch * old_ranks // new_ranks - 1)
        self.state.batch = max(batches, 0)


class UpdateEpochStateCallback(keras.callbacks.Callback):
    """Keeps ``state.epoch``: how many epochs are done.

    ``fit(initial_epoch=state.epoch, epochs=epochs)`` continues with the next one. ``fit(epochs=epochs - state.epoch)``,
    as in scripts of Horovod, does so too, but Keras counts its epochs from 1 again then.

    Args:
        state: a ``KerasState`` with a value ``epoch``.

    Raises:
        UserError: the state has no value ``epoch``.
    """

    works_over_ranks = True

    def __init__(self, state: KerasState):
        super().__init__()
        _check_value(state, "epoch")
        self.state = state

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        _register(self, self.state)
        self._first_epoch: int | None = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """See ``ProgressCallback.on_train_batch_end``."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        if self._first_epoch is None:
            self._first_epoch = epoch
            self._done_before = self.state.epoch - epoch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.state.epoch = self._done_before + epoch + 1

    def adapt(self, old_ranks: int, new_ranks: int) -> None:
        """See ``ProgressCallback.adapt``."""


def _check_value(state: KerasState, name: str) -> None:
    if not hasattr(state, name):
        raise UserError(f"the state has no value {name!r}, expected KerasState(model, {name}=0)")


def _register(callback: ProgressCallback, state: KerasState) -> None:
    """Makes ``CommitStateCallback`` bring the callback's value up to date, wherever it is in the list of callbacks."""
    others = [other for other in state.progress if type(other) is not type(callback)]
    state.progress = [*others, callback]
