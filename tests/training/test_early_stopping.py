"""Training that ends early, the metric that decides, and the best weights."""

import json

import numpy as np
import pytest

import tfdl
from tfdl.config import compose
from tfdl.errors import UserError
from tfdl.runs import Progress, load_run, weights_sha256
from tfdl.tasks import ImageClassification
from tfdl.training import Callback
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
    assert run.checkpoint("best").resolve().name == "step-00000024"


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
