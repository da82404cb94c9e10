"""Keras callbacks get in tfdl's loop what they get in ``fit``."""

import csv
import inspect
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.util import event_pb2

import tfdl
from tfdl.distributed import SingleWorld
from tfdl.errors import RunError
from tfdl.runs import RunDirectory
from tfdl.training import Callback, keras_callbacks
from tfdl.training.callback_states import CallbackStates
from tfdl.training.keras_callbacks import KerasCallbacks, _writes
from tfdl.training.training_state import TrainingState

SAMPLES = 64


def build() -> keras.Model:
    model = keras.Sequential([keras.Input([3]), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse", metrics=["mae"], steps_per_execution=2)
    return model


def arrays() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(SAMPLES, 3)).astype(np.float32)
    return x, x.sum(1, keepdims=True)


def train(
    output: Path, *callbacks: Any, model: Any = build, batch_size: int = 16, epochs: int = 2, **options: Any
) -> Any:
    config = tfdl.TrainConfig(epochs=epochs, batch_size=batch_size, steps_per_execution=2)
    data = {"train": arrays(), "validation": arrays(), "test": arrays()}
    return tfdl.train(config, output, model=model, data=data, callbacks=callbacks, **options)


def fit(model: keras.Model, *callbacks: Any, batch_size: int = 16) -> None:
    model.fit(
        *arrays(), batch_size=batch_size, epochs=2, validation_data=arrays(), callbacks=list(callbacks), verbose=0
    )


class Recorder(keras.callbacks.Callback):
    """Records every call with its number, the names of its logs, and what the callback can see."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Any] = []

    def _record(self, name: str, number: int | None, logs: Any) -> None:
        optimizer = self.model.optimizer
        seen = (int(optimizer.iterations), round(float(optimizer.learning_rate), 6), self.model.stop_training)
        self.calls.append((name, number, sorted(logs or {}), self.params["epochs"], self.params["steps"], seen))

    def on_train_begin(self, logs: Any = None) -> None:
        self._record("train begin", None, logs)

    def on_train_end(self, logs: Any = None) -> None:
        self._record("train end", None, logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._record("epoch begin", epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._record("epoch end", epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._record("batch begin", batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._record("batch end", batch, logs)

    def on_test_begin(self, logs: Any = None) -> None:
        self._record("test begin", None, logs)

    def on_test_end(self, logs: Any = None) -> None:
        self._record("test end", None, logs)


def test_the_calls_are_those_of_fit(tmp_path):
    recorders = [Recorder(), Recorder()]
    fit(build(), recorders[0])
    train(tmp_path / "run", recorders[1])
    assert recorders[1].calls == recorders[0].calls
    assert len(recorders[0].calls) == 18


def test_the_logs_are_those_of_fit(tmp_path):
    """Of whole batches, so that the order of the samples does not matter."""
    models = [build(), build()]
    models[1].set_weights(models[0].get_weights())
    files = [tmp_path / "fit.csv", tmp_path / "train.csv"]
    schedulers = [keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / (1 + epoch)) for _ in files]
    loggers = [keras.callbacks.CSVLogger(file) for file in files]
    fit(models[0], schedulers[0], loggers[0], batch_size=SAMPLES)
    train(tmp_path / "run", schedulers[1], loggers[1], model=models[1], batch_size=SAMPLES)
    expected, found = (list(csv.DictReader(file.open())) for file in files)
    assert len(found) == 2
    for row, expected_row in zip(found, expected, strict=True):
        assert list(row) == list(expected_row)
        assert [float(value) for value in row.values()] == pytest.approx(
            [float(value) for value in expected_row.values()], rel=1e-5
        )


def test_a_lambda_callback_sees_the_metrics(tmp_path):
    losses = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: losses.append((epoch, logs["val_loss"])))
    run = train(tmp_path / "run", callback)
    epochs = [row for row in map(json.loads, run.metrics_path.open()) if row["kind"] == "epoch"]
    assert losses == [(number, row["validation"]["loss"]) for number, row in enumerate(epochs)]


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows: name -> steps and values."""
    found: dict[str, list[tuple[int, float]]] = {}
    for path in folder.glob("events*"):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = event_pb2.Event.FromString(record)
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name == "scalars" or value.tag.endswith(("loss", "mae")):
                    number = float(tf.make_ndarray(value.tensor))
                    found.setdefault(value.tag, []).append((event.step, number))
    return found


def test_keras_s_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    callback = keras.callbacks.TensorBoard(tmp_path / "logs", histogram_freq=1, write_graph=True)
    run = train(tmp_path / "run", callback)
    epochs = [row for row in map(json.loads, run.metrics_path.open()) if row["kind"] == "epoch"]
    shown = scalars(tmp_path / "logs" / "train")
    assert [value for _, value in shown["epoch_loss"]] == pytest.approx([row["train"]["loss"] for row in epochs])
    shown = scalars(tmp_path / "logs" / "validation")
    assert [value for _, value in shown["epoch_loss"]] == pytest.approx([row["validation"]["loss"] for row in epochs])


def test_model_checkpoint_saves_models_that_keras_loads(tmp_path):
    callback = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    run = train(tmp_path / "run", callback)
    loaded = keras.saving.load_model(tmp_path / "2.keras")
    for mine, theirs in zip(loaded.get_weights(), tfdl.runs.load_run(run).model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_mlflow(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    keras_flavor = pytest.importorskip("mlflow.keras")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("test", artifact_location=str(tmp_path / "artifacts")))
    with mlflow.start_run() as tracked:
        run = train(tmp_path / "run", keras_flavor.MlflowCallback())
    epochs = [row for row in map(json.loads, run.metrics_path.open()) if row["kind"] == "epoch"]
    history = mlflow.MlflowClient().get_metric_history(tracked.info.run_id, "val_loss")
    assert [(entry.step, entry.value) for entry in history] == [
        (number, row["validation"]["loss"]) for number, row in enumerate(epochs)
    ]


def test_weights_and_biases(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    logger = pytest.importorskip("wandb.integration.keras").WandbMetricsLogger
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    with wandb.init(project="test", dir=tmp_path) as tracked:
        run = train(tmp_path / "run", logger(log_freq="epoch"))
        shown = dict(tracked.summary)
    last = [row for row in map(json.loads, run.metrics_path.open()) if row["kind"] == "epoch"][-1]
    assert shown["epoch/val_loss"] == pytest.approx(last["validation"]["loss"])
    assert shown["epoch/epoch"] == 1


class StopsAt(keras.callbacks.Callback):
    """Stops training in the way that Keras's callbacks do."""

    def __init__(self, epoch: int):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        if epoch == self.epoch:
            self.model.stop_training = True


def test_a_callback_ends_the_run_which_is_then_complete(tmp_path):
    run = train(tmp_path / "run", StopsAt(0), epochs=5)
    assert (run.read_summary()["epochs"], run.read_summary()["steps"]) == (1, 4)


class Counting(keras.callbacks.Callback):
    """Keeps a count."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.count += 1

    def get_state(self) -> dict[str, Any]:
        return {"count": self.count, "array": np.arange(self.count)}

    def set_state(self, state: dict[str, Any]) -> None:
        assert len(state["array"]) == state["count"]
        self.count = state["count"]


class Notes(Callback):
    """Keeps the notes that a run prints when it starts."""

    def on_start(self, plan: Any) -> None:
        self.notes = plan.notes


def test_a_resume_restores_states_and_names_what_starts_anew(tmp_path):
    first = train(tmp_path / "run", Counting(), Counting(), keras.callbacks.CSVLogger(tmp_path / "log.csv"))
    counting = [Counting(), Counting(), Counting()]
    notes = Notes()
    logger = keras.callbacks.CSVLogger(tmp_path / "log.csv", append=True)
    train(first.path, logger, *counting, notes, epochs=3, resume=True)
    assert [callback.count for callback in counting] == [3, 3, 1]
    assert notes.notes == ("callbacks that start anew, since no checkpoint has their state: CSVLogger, Counting-3",)


def test_a_resumed_plateau_waits_as_long_as_one_that_was_never_stopped(tmp_path):
    """Also in the middle of its patience; with the control of a callback that starts anew."""

    def plateau() -> Any:
        return keras.callbacks.ReduceLROnPlateau(monitor="loss", min_delta=100.0, factor=0.5, patience=3)

    def final_rate(run: RunDirectory) -> float:
        rows = [row for row in map(json.loads, run.metrics_path.open()) if row["kind"] == "steps"]
        return float(rows[-1]["learning_rate"])

    straight = train(tmp_path / "straight", plateau(), epochs=5)
    stopped = train(tmp_path / "stopped", plateau(), epochs=2)
    resumed = train(stopped.path, plateau(), epochs=5, resume=True)
    assert final_rate(resumed) == final_rate(straight) == pytest.approx(0.05)
    forgetful = train(tmp_path / "forgetful", epochs=2)
    control = train(forgetful.path, plateau(), epochs=5, resume=True)
    assert final_rate(control) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (lambda folder: keras.callbacks.BackupAndRestore(folder), "BackupAndRestore, which tfdl replaces"),
        (lambda _: keras.callbacks.SwapEMAWeights(), "SwapEMAWeights, which tfdl replaces"),
        (lambda _: tfdl.distributed.SyncCheck(), "SyncCheck, which tfdl replaces"),
        (
            lambda _: keras.callbacks.EarlyStopping("val_poisson"),
            "monitors 'val_poisson' with mode='auto'.* check the metric's name",
        ),
    ],
)
def test_what_cannot_work_is_an_error_before_anything_is_written(tmp_path, callback, message):
    with pytest.raises(tfdl.UserError, match=message):
        train(tmp_path / "run", callback(tmp_path / "backup"))
    assert not (tmp_path / "run").exists()


def test_a_rate_that_follows_a_schedule_is_not_reduced(tmp_path):
    config = tfdl.TrainConfig(optimizer={"name": "sgd", "schedule": "cosine"}, epochs=1, batch_size=16)
    data = {"train": arrays()}
    parts = {"model": keras.Sequential([keras.layers.Dense(1)]), "task": tfdl.tasks.Objective("mse"), "data": data}
    with pytest.raises(tfdl.UserError, match="ReduceLROnPlateau changes the learning rate, which follows a schedule"):
        tfdl.train(config, tmp_path / "run", callbacks=[keras.callbacks.ReduceLROnPlateau()], **parts)


@pytest.mark.parametrize(
    ("schedule", "callback"),
    [
        # A schedule's rate depends on the step alone: it cannot be set, and needs no restoring.
        ({"schedule": "inverse_sqrt", "warmup_steps": 2}, keras.callbacks.TerminateOnNaN),
        # The callback has changed the rate before the stop, and must not change it again for the same epoch.
        ({}, lambda: keras.callbacks.LearningRateScheduler(lambda _, rate: rate / 2)),
    ],
    ids=["schedule", "callback"],
)
def test_a_resume_within_an_epoch_has_the_learning_rates_of_a_run_without_a_stop(tmp_path, schedule, callback):
    def train_steps(name: str, steps: int, **options: Any) -> list[float]:
        """Returns the learning rates in the run's log."""
        config = tfdl.TrainConfig(
            optimizer={"name": "sgd", **schedule}, steps=steps, batch_size=16, steps_per_execution=1
        )
        model = keras.Sequential([keras.Input([3]), keras.layers.Dense(1)])
        data = {"train": arrays(), "validation": arrays(), "test": arrays()}
        run = tfdl.train(
            config,
            tmp_path / name,
            model=model,
            task=tfdl.tasks.Objective("mse"),
            data=data,
            callbacks=[callback()],
            **options,
        )
        rows = map(json.loads, run.metrics_path.open())
        return [row["learning_rate"] for row in rows if row["kind"] == "steps"]

    straight = train_steps("straight", 10)
    train_steps("stopped", 6)  # in the middle of the second epoch of 4 steps
    assert train_steps("stopped", 10, resume=True) == straight
    assert len(set(straight)) > 1


def test_a_rate_that_a_callback_sets_may_begin_at_zero(tmp_path):
    model = build()
    model.compile(keras.optimizers.SGD(0.0), "mse")
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 * (epoch + 1))
    run = train(tmp_path / "run", scheduler, model=model)
    rates = [row["learning_rate"] for row in map(json.loads, run.metrics_path.open()) if row["kind"] == "steps"]
    assert (rates[0], rates[-1]) == pytest.approx((0.1, 0.2))


def test_ranks_with_different_rates_end(ranks):
    from tfdl.training.optimization import check_equal_rates

    optimizers = [keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.2)]
    world = ranks(2)

    def run(rank: int) -> None:
        check_equal_rates(optimizers[0], world)
        with pytest.raises(RunError, match=r"rates differ: rank 0 has 0\.1, rank 1 has 0\.2; a callback"):
            check_equal_rates(optimizers[rank], world)

    world.run(run)


def test_an_error_in_a_callback_ends_the_run_with_that_error(tmp_path):
    def fail(epoch: int, logs: Any) -> None:  # noqa: ARG001
        raise ZeroDivisionError("in the callback")

    with pytest.raises(ZeroDivisionError, match="in the callback"):
        train(tmp_path / "run", keras.callbacks.LambdaCallback(on_epoch_end=fail))
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert status["code"] == 1
    assert "in the callback" in status["reason"]


def test_a_rank_has_no_states_of_callbacks_that_run_on_rank_0_only(monkeypatch):
    class Notes(keras.callbacks.Callback):
        chief_only = True

        def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
            self.notes: list[int] = []

        def get_state(self) -> dict[str, Any]:
            return {"notes": self.notes}

        def set_state(self, state: dict[str, Any]) -> None:
            self.notes.extend(state["notes"])

    monkeypatch.setattr(keras_callbacks, "current_world", lambda: SimpleNamespace(is_chief=False))
    model = build()
    callbacks = KerasCallbacks([Notes(), keras.callbacks.EarlyStopping("loss", mode="min")])
    trainer = SimpleNamespace(optimizer=model.optimizer)
    callbacks.on_built(SimpleNamespace(model=model, trainer=trainer, task=None))
    assert callbacks.get_state().keys() == {"EarlyStopping"}
    callbacks.set_state({"Notes": {"notes": [1]}, "EarlyStopping": {"wait": 3}})
    assert callbacks.keras_callbacks[1].wait == 3


def test_every_callback_of_keras_that_writes_is_known():
    refused = tuple(keras_callbacks._REFUSED)
    classes = [value for value in vars(keras.callbacks).values() if isinstance(value, type)]
    writers = [kind for kind in classes if _constructor_words(kind) & {"filepath", "filename", "directory", "log_dir"}]
    unknown = [kind for kind in writers if not issubclass(kind, refused) and not _writes(object.__new__(kind))]
    assert unknown == []
    assert keras.callbacks.CSVLogger in writers  # the control


def _constructor_words(kind: type) -> set[str]:
    return set(inspect.signature(kind.__init__).parameters)


def test_a_commit_does_not_follow_a_callback_that_goes_on():
    class Seen(Callback):
        def __init__(self) -> None:
            self.seen = [1]

        def get_state(self) -> dict[str, Any]:
            return {"seen": self.seen}

    callback = Seen()
    trainer = SimpleNamespace(world=SingleWorld(), variables=[])
    state = TrainingState(trainer, CallbackStates([callback]), begin=0.0)
    state.restore_callbacks()
    commit = state.commit()
    callback.seen.append(2)
    assert commit.callbacks == {"Seen": {"seen": [1]}}
