"""Trackers among Keras's callbacks: one that fails does not end a run."""

from typing import Any

import keras
import numpy as np
import pytest

import tfdl
from tfdl.training import Callback
from tfdl.training.guarded_callback import GuardedCallback
from tfdl.training.keras_callbacks import _only_watches, _writes


class Failing(keras.callbacks.Callback):
    """Fails in some epochs, and remembers the others."""

    def __init__(self, *epochs: int) -> None:
        super().__init__()
        self.epochs = epochs
        self.seen: list[int] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        if epoch in self.epochs:
            raise ConnectionError("no answer from the server\nTraceback of many lines")
        self.seen.append(epoch)


class FailingTracker(Failing):
    """A tracker of the user."""

    only_watches = True


class Notices(Callback):
    """Keeps what is shown to the user."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def on_notice(self, text: str) -> None:
        self.texts.append(text)


def train(output: Any, *callbacks: Any, epochs: int) -> Any:
    ones = np.ones([16, 1], np.float32)
    model = keras.Sequential([keras.layers.Input([1]), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    config = tfdl.TrainConfig(epochs=epochs, batch_size=8)
    data = dict.fromkeys(("train", "validation", "test"), (ones, ones))
    return tfdl.train(config, output, model=model, data=data, callbacks=callbacks)


def test_a_tracker_that_fails_prints_warnings_and_is_left_out_after_three_in_a_row(tmp_path):
    notices = Notices()
    tracker = FailingTracker(1, 2, 4, 5, 6)
    other = Failing()
    run = train(tmp_path / "run", tracker, other, notices, epochs=8)
    assert run.read_summary()["epochs"] == 8
    assert tracker.seen == [0, 3]  # not 7
    assert other.seen == list(range(8))
    cause = "no answer from the server"
    once = f"warning: FailingTracker failed in on_epoch_end, and the run goes on: {cause}"
    left_out = (
        f"warning: FailingTracker failed in on_epoch_end, 3 times in a row, and the run goes on without it: {cause}"
    )
    assert notices.texts == [once] * 4 + [left_out]


def test_any_other_callback_ends_the_run(tmp_path):
    """The control."""
    with pytest.raises(ConnectionError, match="no answer from the server"):
        train(tmp_path / "run", Failing(1), epochs=3)


def test_a_run_is_stopped_by_the_user_within_a_tracker():
    class Interrupted(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        GuardedCallback(Interrupted(), print).on_train_begin({})


def test_which_callbacks_are_trackers(tmp_path):
    class OfPackage(keras.callbacks.Callback):
        __module__ = "wandb.integration.keras"

    class Derived(OfPackage):
        __module__ = "my_tracking"

    class ChiefOnly(keras.callbacks.Callback):
        chief_only = True

    trackers = [
        keras.callbacks.TensorBoard(tmp_path),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        OfPackage(),
        Derived(),
        FailingTracker(),
    ]
    others = [keras.callbacks.ModelCheckpoint(tmp_path / "a.keras"), ChiefOnly()]
    everywhere = [keras.callbacks.EarlyStopping("loss"), Failing()]
    callbacks = [*trackers, *others, *everywhere]
    assert [callback for callback in callbacks if _only_watches(callback)] == trackers
    assert [callback for callback in callbacks if _writes(callback)] == [*trackers, *others]
