"""Training that ends early, the metric that decides, and the best weights."""

import json

import keras
import numpy as np
import pytest

import tfdl
from tfdl.config import compose
from tfdl.errors import UserError
from tfdl.runs import Progress, RunDirectory, load_run, save_checkpoint, weights_sha256
from tfdl.tasks import ImageClassification
from tfdl.training import Callback
from tfdl.training.best_weights import restore_best_weights
from tfdl.training.early_stopping import EarlyStopping
from tfdl.training.monitor import Monitor

ACCURACY = Monitor("accuracy", larger_is_better=True)
LOSS = Monitor("loss", larger_is_better=False)


@pytest.mark.parametrize(
    ("monitor", "patience", "min_delta", "values", "expected"),
    [
        (ACCURACY, 1, 0.0, [0.5, 0.6, 0.6, 0.9], 3),
        (ACCURACY, 2, 0.0, [0.5, 0.4, 0.45, 0.9], 3),
        (ACCURACY, 2, 0.0, [0.5, 0.4, 0.6, 0.5, 0.5], 5),
        (LOSS, 2, 0.0, [1.0, 0.9, 0.8, 0.7], None),
        (LOSS, 2, 0.15, [1.0, 0.9, 0.8, 0.7], None),  # 0.8 is better than 1.0 by enough
        (LOSS, 1, 0.15, [1.0, 0.9, 0.8, 0.7], 2),
        (LOSS, 1, 0.0, [1.0, float("nan")], 2),
        (ACCURACY, 2, 0.0, [float("nan"), 0.5, 0.4, 0.6], None),
    ],
)
def test_when_it_stops(monitor, patience, min_delta, values, expected):
    """The number of the validation after which training ends."""
    stopping = EarlyStopping(monitor, patience, min_delta)
    ended = None
    for number, value in enumerate(values, 1):
        stopping.on_validation_end({monitor.metric: value})
        if stopping.wants_stop:
            ended = number
            break
    assert ended == expected
    assert bool(stopping.reason) == (expected is not None)


def test_values_that_are_never_numbers():
    stopping = EarlyStopping(ACCURACY, 2, 0.0)
    for _ in range(2):
        stopping.on_validation_end({"accuracy": float("nan")})
    assert stopping.wants_stop
    assert stopping.reason == "stopped early: 2 validations whose accuracy is not a number"


def test_its_state_continues_the_count():
    first = EarlyStopping(ACCURACY, 2, 0.0)
    first.on_validation_end({"accuracy": 0.5})
    first.on_validation_end({"accuracy": 0.4})
    second = EarlyStopping(ACCURACY, 2, 0.0)
    second.set_state(first.get_state())
    assert not second.wants_stop
    second.on_validation_end({"accuracy": 0.5})
    assert second.reason == "stopped early: 2 validations without a better accuracy than 0.5000"


class Notices(Callback):
    def __init__(self):
        self.lines = []
        self.epochs = []

    def on_epoch(self, report):
        self.epochs.append(report.progress.step)

    def on_notice(self, text):
        self.lines.append(text)


SCORES = {12: 0.3, 24: 0.7, 36: 0.5, 48: 0.6, 60: 0.9}


@pytest.fixture
def scored(monkeypatch):
    """Validation accuracies that are known, in place of those of the model."""
    metrics = ImageClassification.metrics
    steps = iter(SCORES.values())

    def known(task, rows):
        return {**metrics(task, rows), "accuracy": next(steps, 0.0)}

    monkeypatch.setattr(ImageClassification, "metrics", known)


@pytest.mark.usefixtures("scored")
@pytest.mark.parametrize("ema", [None, 0.9])
def test_the_best_weights_are_restored(tiny, tmp_path, ema):
    notices = Notices()
    config = tiny({"optimizer.ema_momentum": ema}, epochs=9, early_stopping_patience=2, keep_checkpoints=9)
    run = tfdl.train(config, tmp_path / "run", callbacks=[notices])
    assert notices.epochs == [12, 24, 36, 48]
    assert notices.lines == [
        "stopped early: 2 validations without a better accuracy than 0.7000",
        "the weights of step 24 are restored, the best ones",
    ]
    best = load_run(run, "step-00000024").model
    assert run.read_summary()["weights_sha256"] == weights_sha256(best)
    assert run.read_summary()["steps"] == 48
    assert weights_sha256(load_run(run).model) == weights_sha256(best)
    assert tfdl.evaluate(run)["loss"] == run.read_summary()["test"]["loss"]
    assert run.checkpoint("best").resolve().name == "step-00000024"
    # What was trained last is there as well, for a run that is to be continued from it.
    assert weights_sha256(load_run(run, "step-00000048").model) != weights_sha256(best)


class KilledError(Exception):
    """Stands for the end of the process."""


class Dies(Callback):
    """Ends the process, as it were, when the last checkpoint is written and training has ended."""

    def on_training_end(self):
        raise KilledError


@pytest.mark.usefixtures("scored")
def test_a_run_that_was_killed_after_its_early_end_trains_no_further(tiny, tmp_path):
    config = tiny(epochs=9, early_stopping_patience=2, keep_checkpoints=9)
    with pytest.raises(KilledError):
        tfdl.train(config, tmp_path / "run", callbacks=[Dies()])
    notices = Notices()
    run = tfdl.train(config, tmp_path / "run", resume=True, callbacks=[notices])
    assert notices.epochs == []
    assert notices.lines[-1] == "the weights of step 24 are restored, the best ones"
    assert run.read_summary()["weights_sha256"] == weights_sha256(load_run(run, "step-00000024").model)


@pytest.mark.usefixtures("scored")
def test_more_patience_continues_an_ended_run(tiny, tmp_path):
    """From the best checkpoint, whose training state is whole."""
    config = tiny(epochs=9, early_stopping_patience=2, keep_checkpoints=9)
    run = tfdl.train(config, tmp_path / "run")
    straight = tfdl.train(tiny(epochs=5, keep_checkpoints=9), tmp_path / "straight")
    more = tiny(epochs=5, early_stopping_patience=6, keep_checkpoints=9)
    tfdl.train(more, run.path, resume=True)
    names = ("step-00000036", "step-00000060")
    for name in names:
        expected = weights_sha256(load_run(straight, name).model)
        assert weights_sha256(load_run(run, name).model) == expected


@pytest.mark.usefixtures("scored")
def test_a_damaged_best_checkpoint_does_not_end_the_run(tiny, tmp_path):
    class Damages(Callback):
        def on_training_end(self):
            path = tmp_path / "run" / "checkpoints" / "step-00000024" / "model.safetensors"
            path.write_bytes(b"damaged")

    notices = Notices()
    config = tiny(epochs=9, early_stopping_patience=2, keep_checkpoints=9)
    run = tfdl.train(config, tmp_path / "run", callbacks=[notices, Damages()])
    assert "those of step 24, cannot be used (checkpoint " in notices.lines[-1]
    assert notices.lines[-1].endswith(": the last ones stay")
    assert run.read_summary()["weights_sha256"] == weights_sha256(load_run(run, "step-00000048").model)


def test_each_rank_gets_the_best_weights(tmp_path, ranks):
    """Rank 0 alone has the checkpoint."""
    world = ranks(2)
    models = [keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="a")]) for _ in range(2)]
    run = RunDirectory(tmp_path)
    run.checkpoints.mkdir()
    optimizer = keras.optimizers.SGD()
    save_checkpoint(run.checkpoints, models[0], [], Progress(step=3))
    best = [np.array(weight) for weight in models[0].weights]
    for model in models:
        for weight in model.weights:
            weight.assign(weight + 1.0)

    def restore(rank):
        progress = Progress(step=9, best_step=3, validation={"loss": 1.0})
        note = restore_best_weights(models[rank], optimizer, run, progress, world, by_order=True)
        return note, progress.validation

    assert world.run(restore) == [("the weights of step 3 are restored, the best ones", {})] * 2
    for model in models:
        for weight, expected in zip(model.weights, best, strict=True):
            np.testing.assert_array_equal(weight, expected)


@pytest.mark.usefixtures("scored")
def test_without_patience_nothing_ends_early(tiny, tmp_path):
    """The control: the last weights are those of the last step."""
    notices = Notices()
    run = tfdl.train(tiny(epochs=4), tmp_path / "run", callbacks=[notices])
    assert notices.epochs == [12, 24, 36, 48]
    assert notices.lines == []
    assert run.read_summary()["weights_sha256"] != weights_sha256(load_run(run, "best").model)


def test_best_weights_that_could_not_be_written(tiny, tmp_path, monkeypatch, scored):  # noqa: ARG001
    from tfdl.training import checkpoint_writer

    write = checkpoint_writer.write_checkpoint

    def fails_once(folder, content):
        if content.progress.step == 24:
            raise OSError(28, "No space left on device")
        return write(folder, content)

    monkeypatch.setattr(checkpoint_writer, "write_checkpoint", fails_once)
    notices = Notices()
    config = tiny(epochs=4, early_stopping_patience=2, on_checkpoint_error="continue", keep_checkpoints=1)
    run = tfdl.train(config, tmp_path / "run", callbacks=[notices])
    assert notices.lines[-1] == "the best weights, those of step 24, could not be written: the last ones stay"
    assert run.checkpoint("best").resolve().name == "step-00000012"  # the best one that is there


def test_another_metric_decides(tiny, tmp_path):
    """By the loss another checkpoint is the best than by the accuracy, or the same one for its loss."""
    run = tfdl.train(tiny(epochs=3, monitor="loss", keep_checkpoints=9), tmp_path / "run")
    lines = [line for line in run.metrics_path.read_text().splitlines() if '"kind": "epoch"' in line]
    losses = {json.loads(line)["step"]: json.loads(line)["validation"]["loss"] for line in lines}
    best = min(losses, key=losses.get)
    assert run.checkpoint("best").resolve().name == f"step-{best:08d}"
    progress = Progress.from_json(json.loads((run.checkpoint() / "progress.json").read_text()))
    assert progress.best_value == losses[best]


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("acuracy", r"monitor='acuracy', but it is not known whether larger values of it are better"),
        ("bleu", r"monitor='bleu', expected a metric of the validation: loss, accuracy, "),
    ],
)
def test_a_metric_that_is_not_there(tiny, tmp_path, metric, message):
    with pytest.raises(UserError, match=message):
        tfdl.train(tiny(monitor=metric), tmp_path / "run")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"early_stopping_patience": 0}, "early_stopping_patience=0, expected a number of at least 1"),
        ({"early_stopping_min_delta": 0.1}, "early_stopping_min_delta=0.1, expected nothing without"),
        ({"early_stopping_patience": 1, "early_stopping_min_delta": -1.0}, "early_stopping_min_delta=-1.0, expected"),
        ({"time_limit": 0.0}, "time_limit=0.0, expected a number above 0"),
    ],
)
def test_values_that_cannot_be_used(fields, message):
    with pytest.raises(UserError, match=message):
        compose(fields)


def test_a_run_stops_at_its_time_limit_and_is_resumed(tiny, tmp_path):
    straight = tfdl.train(tiny(steps=20), tmp_path / "straight").read_summary()
    with pytest.raises(tfdl.StoppedError, match=r"stopped by the time limit at step \d+ with a checkpoint saved"):
        tfdl.train(tiny(steps=20, time_limit=0.001, steps_per_execution=2), tmp_path / "run")
    assert np.isfinite(tfdl.evaluate(tmp_path / "run")["loss"])
    resumed = tfdl.train(
        tiny(steps=20, time_limit=600.0, steps_per_execution=2), tmp_path / "run", resume=True
    ).read_summary()
    assert resumed["weights_sha256"] == straight["weights_sha256"]
