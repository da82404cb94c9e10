"""Runs Keras callbacks in tfdl's training loop."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from tfdl.config import TrainConfig
from tfdl.data.order import steps_left
from tfdl.distributed import World, current_world
from tfdl.distributed.callbacks.distributed_callback import DistributedCallback
from tfdl.errors import UserError
from tfdl.runs import Progress
from tfdl.tasks.task import Task
from tfdl.training.callback_states import named
from tfdl.training.callbacks import Callback, EpochReport, RunPlan, StepReport
from tfdl.training.guarded_callback import GuardedCallback
from tfdl.training.run_parts import RunParts

# Callbacks that only watch the run: one that fails does not end it.
_TRACKERS = (keras.callbacks.CSVLogger, keras.callbacks.RemoteMonitor, keras.callbacks.TensorBoard)
_TRACKING_PACKAGES = ("mlflow", "wandb")
# Callbacks that write files or send data to a server: they run on rank 0 only.
_WRITERS = (*_TRACKERS, keras.callbacks.ModelCheckpoint, keras.callbacks.ProgbarLogger)
# Classes that not every version of Keras has.
_LATER_WRITERS = ("OrbaxCheckpoint",)
# Callbacks whose work tfdl does itself: class -> how.
_REFUSED = {
    keras.callbacks.BackupAndRestore: "tfdl writes checkpoints and resumes from them: tfdl.train(..., resume=True)",
    keras.callbacks.SwapEMAWeights: "tfdl evaluates and saves averaged weights itself (optimizer.ema_momentum)",
    DistributedCallback: "tfdl.train broadcasts, compares and averages over the ranks itself",
}
# Keras's callbacks that reset these attributes in on_train_begin: a resumed run restores them.
_COUNTERS = {
    keras.callbacks.EarlyStopping: ("wait", "stopped_epoch", "best", "best_epoch", "best_weights"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
}


def _show_nothing(text: str) -> None:
    """Without a session nobody reads it."""


def adapted(callbacks: Sequence[Any]) -> list[Callback]:
    """Returns tfdl's callbacks unchanged, and all Keras callbacks as one ``KerasCallbacks``.

    Args:
        callbacks: of either kind.

    Raises:
        UserError: an object of another type, or a callback that cannot work in tfdl's loop.
    """
    if not isinstance(callbacks, list | tuple):
        raise UserError(f"callbacks= is {type(callbacks).__name__}, expected a list: callbacks=[...]")
    members: list[Callback] = []
    keras_callbacks: list[Any] = []
    for callback in callbacks:
        if isinstance(callback, Callback):
            members.append(callback)
        elif isinstance(callback, keras.callbacks.Callback):
            keras_callbacks.append(callback)
        else:
            raise UserError(
                f"callbacks= has a {type(callback).__name__}, expected keras.callbacks.Callback or"
                " tfdl.training.Callback objects"
            )
    if keras_callbacks:
        members.append(KerasCallbacks(keras_callbacks))
    return members


class KerasCallbacks(Callback):
    """Calls Keras callbacks as ``fit`` does: at the same moments, with the same logs and attributes.

    As with Keras's ``steps_per_execution``, the batch methods are called once for a graph call of several steps, with
    the number of its last batch. ``self.model`` is the model, with ``optimizer`` and ``stop_training``. The metrics are
    those of all ranks. Callbacks that write files run on rank 0 only. All others run on every rank, and must decide
    alike there. Trackers are among the former; if one fails, a warning is printed (``GuardedCallback``).

    ``EarlyStopping`` and ``ReduceLROnPlateau`` continue after a resume, and so do your own callbacks that have
    ``get_state`` and ``set_state``. All others start anew.

    Args:
        callbacks: in the order in which they are called.

    Raises:
        UserError: a callback that cannot work in tfdl's loop.

    Attributes:
        notify: shows a line to the user; set by the session.
    """

    notify: Callable[[str], None] = staticmethod(_show_nothing)

    def __init__(self, callbacks: Sequence[Any]):
        for callback in callbacks:
            for refused, advice in _REFUSED.items():
                if isinstance(callback, refused):
                    raise UserError(f"callbacks= has {type(callback).__name__}, which tfdl replaces: {advice}")
        self.keras_callbacks = list(callbacks)
        self._world: World = current_world()
        # The callbacks that run on this rank, by name.
        self._active: dict[str, Any] = dict(named(self.keras_callbacks))
        self._list: Any = None
        self._model: Any = None
        self._epoch_logs: dict[str, float] = {}

    @property
    def wants_stop(self) -> bool:  # type: ignore[override]
        """Whether a callback has set ``model.stop_training``."""
        return bool(getattr(self._model, "stop_training", False))

    def on_built(self, parts: RunParts) -> None:
        """Binds the callbacks to the model.

        Raises:
            UserError: a callback that cannot work with this model, optimizer or task.
        """
        self._world = current_world()
        self._model = parts.model
        self._model.stop_training = False
        self._optimizer = parts.trainer.optimizer
        self._model.optimizer = self._optimizer
        if not hasattr(self._model, "train_function"):  # keras.callbacks.TensorBoard reads it
            self._model.train_function = None
        for callback in self.keras_callbacks:
            _check_rate(callback, self._optimizer)
            _check_averages(callback, self._optimizer)
            _choose_mode(callback, parts.task)
            if not self._world.is_chief and hasattr(callback, "verbose"):
                callback.verbose = 0
        self._active = {
            name: callback
            for name, callback in named(self.keras_callbacks)
            if self._world.is_chief or not _writes(callback)
        }
        members = [self._guarded(callback) for callback in self._active.values()]
        self._list = keras.callbacks.CallbackList(members, add_history=False, add_progbar=False, model=self._model)

    def on_start(self, plan: RunPlan) -> None:
        self._global_batch = plan.global_batch_size
        epochs = plan.total_epochs or math.ceil(plan.total_steps / plan.steps_per_epoch)
        # Only a ProgbarLogger reads "verbose". Whoever passes one wants to see it.
        self._list.set_params({"verbose": 1, "epochs": epochs, "steps": plan.steps_per_epoch})
        self._list.on_train_begin()

    def on_epoch_begin(self, progress: Progress) -> None:
        rate_before = np.array(self._optimizer.learning_rate)
        self._list.on_epoch_begin(progress.epoch, {})
        continues_epoch = progress.sample > 0
        if continues_epoch and not _follows_schedule(self._optimizer):
            # The epoch began before the resume: the rate that a callback set then came with the checkpoint, and a
            # callback that changes the rate at the beginning of an epoch must not change it a second time.
            self._optimizer.learning_rate = rate_before

    def on_steps_begin(self, progress: Progress) -> None:
        self._list.on_train_batch_begin(self._batch(progress), {})

    def on_steps(self, report: StepReport) -> None:
        self._list.on_train_batch_end(self._batch(report.progress) - 1, dict(report.metrics))

    def on_validation_begin(self) -> None:
        self._list.on_test_begin({})

    def on_validation_end(self, metrics: dict[str, float]) -> None:
        self._list.on_test_end(dict(metrics))

    def before_checkpoint(self, report: EpochReport) -> None:
        """Calls Keras's ``on_epoch_end``: before the checkpoint, which then contains what the callbacks changed."""
        progress = report.progress
        # A complete epoch has been counted already; an epoch within which the run ends has not.
        is_complete = progress.sample == 0
        epoch = progress.epoch - 1 if is_complete else progress.epoch
        validation = {f"val_{name}": value for name, value in report.validation.items()}
        self._epoch_logs = {**report.metrics, **validation}
        self._list.on_epoch_end(epoch, self._epoch_logs)

    def on_training_end(self) -> None:
        self._list.on_train_end(self._epoch_logs)

    def get_state(self) -> dict[str, Any]:
        states = {name: _state_of(callback) for name, callback in self._active.items()}
        return {name: state for name, state in states.items() if state}

    def set_state(self, state: dict[str, Any]) -> None:
        for name, callback in self._active.items():
            if name in state:
                _set_state(callback, state[name])

    def starting_anew(self, state: dict[str, Any]) -> list[str]:
        """Returns the names of the callbacks that a resumed run cannot restore."""
        return [name for name, _ in named(self.keras_callbacks) if name not in state]

    def _guarded(self, callback: Any) -> Any:
        return GuardedCallback(callback, self.notify) if _only_watches(callback) else callback

    def _batch(self, progress: Progress) -> int:
        """The number of the epoch's batches that are done."""
        return steps_left(progress.sample, self._global_batch)


def _writes(callback: Any) -> bool:
    """Whether a callback runs on rank 0 only. A custom callback declares it with ``chief_only = True``."""
    later_writers = tuple(getattr(keras.callbacks, name) for name in _LATER_WRITERS if hasattr(keras.callbacks, name))
    return (
        _only_watches(callback)
        or isinstance(callback, (*_WRITERS, *later_writers))
        or getattr(callback, "chief_only", False)
    )


def _only_watches(callback: Any) -> bool:
    """Whether a callback is a tracker. A custom callback declares it with ``only_watches = True``."""
    packages = {kind.__module__.partition(".")[0] for kind in type(callback).__mro__}  # also of a derived class
    comes_from_tracker = not packages.isdisjoint(_TRACKING_PACKAGES)
    return isinstance(callback, _TRACKERS) or comes_from_tracker or getattr(callback, "only_watches", False)


def _follows_schedule(optimizer: Any) -> bool:
    """Whether the learning rate is a function of the step, which cannot be set.

    The property ``learning_rate`` does not show it: of a schedule, it returns the present value.
    """
    return isinstance(optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule)


def _check_rate(callback: Any, optimizer: Any) -> None:
    changes_rate = isinstance(callback, keras.callbacks.ReduceLROnPlateau | keras.callbacks.LearningRateScheduler)
    if changes_rate and _follows_schedule(optimizer):
        raise UserError(
            f"{type(callback).__name__} changes the learning rate, which follows a schedule"
            f" ({type(optimizer._learning_rate).__name__}); use --schedule constant, or leave out the callback"
        )


def let_notify(callbacks: Sequence[Any], notify: Callable[[str], None]) -> None:
    """Tells Keras's callbacks among these how to show a line to the user.

    Args:
        callbacks: of the run.
        notify: shows a line.
    """
    for callback in callbacks:
        if isinstance(callback, KerasCallbacks):
            callback.notify = notify


def check_lowered_rates(callbacks: Sequence[Any], config: TrainConfig) -> None:
    """Refuses a callback that would set again a rate that the run has lowered.

    Args:
        callbacks: of the run.
        config: of the run.

    Raises:
        UserError: there is one.
    """
    if config.on_divergence != "rollback" and config.plateau_patience is None:
        return
    option = "on_divergence=rollback" if config.on_divergence == "rollback" else "plateau_patience"
    for callback in callbacks:
        for member in getattr(callback, "keras_callbacks", ()):
            if isinstance(member, keras.callbacks.LearningRateScheduler):
                raise UserError(
                    f"{type(member).__name__} sets the learning rate of each epoch, and {option} lowers it; leave out"
                    " one of them, or use --schedule"
                )


def _check_averages(callback: Any, optimizer: Any) -> None:
    restores = isinstance(callback, keras.callbacks.EarlyStopping) and callback.restore_best_weights
    if restores and optimizer.use_ema:
        raise UserError(
            "EarlyStopping(restore_best_weights=True) with averaged weights (optimizer.ema_momentum): it would restore"
            " weights that are not averaged; use one of them"
        )


def _choose_mode(callback: Any, task: Task) -> None:
    """Sets whether a monitored metric is to rise or to fall. Keras asks the compiled model; here the task knows it."""
    monitor = getattr(callback, "monitor", None)
    if monitor is None or getattr(callback, "mode", None) != "auto":
        return
    prefers_larger = task.prefers_larger(monitor.removeprefix("val_"))
    if prefers_larger is None:
        raise UserError(
            f"{type(callback).__name__} monitors {monitor!r} with mode='auto', but tfdl does not know whether larger"
            " values are better; check the metric's name, and pass mode='max' or mode='min'"
        )
    callback.mode = "max" if prefers_larger else "min"


def _state_of(callback: Any) -> dict[str, Any]:
    if hasattr(callback, "get_state") and hasattr(callback, "set_state"):
        state: dict[str, Any] = callback.get_state()
        return state
    for kind, names in _COUNTERS.items():
        if isinstance(callback, kind):
            return {name: getattr(callback, name) for name in names if hasattr(callback, name)}
    return {}


def _set_state(callback: Any, state: dict[str, Any]) -> None:
    if hasattr(callback, "set_state"):
        callback.set_state(state)
        return
    for name, value in state.items():
        setattr(callback, name, value)
