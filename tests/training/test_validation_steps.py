"""Validations within an epoch, and the learning rate that falls at a plateau."""

import json

import numpy as np
import pytest

import tfdl
from tfdl.errors import StoppedError, UserError
from tfdl.training.monitor import Monitor
from tfdl.training.plateau import Plateau

LOSS = Monitor("loss", larger_is_better=False)
# 12 steps an epoch.
RARE = {"validation_steps": 5, "model.dropout": 0.5}


def rows_of(run, *kinds):
    rows = map(json.loads, run.metrics_path.read_text().splitlines())
    return [row for row in rows if row["kind"] in kinds]


@pytest.fixture(scope="module")
def validated(tiny, tmp_path_factory):
    """Two epochs that are never stopped."""
    return tfdl.train(tiny({**RARE, "plateau_patience": 1}), tmp_path_factory.mktemp("validated") / "run")


def test_when_it_is_measured(validated):
    """Every five steps, and at the end of each epoch."""
    measured = rows_of(validated, "validation", "epoch")
    assert [(row["kind"], row["step"]) for row in measured] == [
        ("validation", 5), ("validation", 10), ("epoch", 12), ("validation", 15), ("validation", 20), ("epoch", 24),
    ]  # fmt: skip
    assert all(row["validation"].keys() == measured[-1]["validation"].keys() for row in measured)


def test_each_has_a_checkpoint_that_may_be_the_best(validated):
    values = {row["step"]: row["validation"]["accuracy"] for row in rows_of(validated, "validation", "epoch")}
    progress = json.loads((validated.checkpoints / "last" / "progress.json").read_text())
    best = max(values.values())
    assert progress["best_step"] == next(step for step, value in values.items() if value == best)
    assert (validated.checkpoints / "best").resolve().name == f"step-{progress['best_step']:08d}"
    assert tfdl.evaluate(validated, split="validation", checkpoint="best")["accuracy"] == pytest.approx(best)


def test_the_report_has_all_of_them(validated):
    from tfdl.reporting.facts.curves import read_curves

    assert read_curves(validated.metrics_path).validation["accuracy"].steps == (5, 10, 12, 15, 20, 24)


class StopAt(tfdl.training.Callback):
    """Asks the run to stop after a step, as a signal does."""

    def __init__(self, step):
        self.step = step

    def on_steps(self, report):
        if report.progress.step == self.step:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("step", [5, 7, 12, 20])
def test_a_stopped_run_resumes_to_the_same_validations_and_weights(validated, tiny, tmp_path, step):
    """At step 5 and 20 it is stopped when a validation was due."""
    config = tiny({**RARE, "plateau_patience": 1, "steps_per_execution": 1})
    with pytest.raises(StoppedError):
        tfdl.train(config, tmp_path / "run", callbacks=[StopAt(step)])
    run = tfdl.train(config, tmp_path / "run", resume=True)
    for name in ("step", "validation"):
        expected = [row[name] for row in rows_of(validated, "validation", "epoch")]
        assert [row[name] for row in rows_of(run, "validation", "epoch")] == expected
    assert run.read_summary()["weights_sha256"] == validated.read_summary()["weights_sha256"]


def test_training_ends_early_within_an_epoch(tiny, tmp_path):
    """With a learning rate that changes nothing, no validation is better than the first."""
    changes = {"optimizer.learning_rate": 1e-30, "early_stopping_patience": 1, "validation_steps": 3}
    notices = []

    class Watch(tfdl.training.Callback):
        def on_notice(self, text):
            notices.append(text)

    run = tfdl.train(tiny({"model.batch_normalization": False, **changes}), tmp_path / "run", callbacks=[Watch()])
    assert run.read_summary()["steps"] == 6
    assert [row["step"] for row in rows_of(run, "validation", "epoch")] == [3, 6, 6]
    assert notices[0].startswith("stopped early: 1 validation without a better accuracy")


# The plateau


@pytest.mark.parametrize(
    ("patience", "values", "lowered_at"),
    [
        (1, [3, 2, 2, 1, 1, 1], [2, 4, 5]),
        (2, [3, 2, 2, 2, 2, 2], [3, 5]),
        (2, [3, 4, 2, 3, 1, 2], []),
        (1, [np.nan, 5, np.nan], [0, 2]),
    ],
)
def test_when_the_rate_falls(patience, values, lowered_at):
    lowered = []
    plateau = Plateau(LOSS, patience, 0.1, lowered.append, lambda _: None)
    found = []
    for number, value in enumerate(values):
        lowered.clear()
        plateau.on_validation_end({"loss": value})
        if lowered:
            found.append(number)
    assert found == lowered_at


def rates_of(run):
    return [row["learning_rate"] for row in rows_of(run, "steps")]


def test_the_rates_of_a_run(tiny, tmp_path):
    """Nothing gets better, so the rate falls after each of the later validations: a constant one, and a schedule."""
    notices = []

    class Watch(tfdl.training.Callback):
        def on_notice(self, text):
            notices.append(text)

    changes = {
        "model.batch_normalization": False, "optimizer.learning_rate": 1e-20, "plateau_patience": 1,
        "plateau_factor": 0.5, "validation_steps": 4,
    }  # fmt: skip
    constant = tfdl.train(
        tiny({**changes, "optimizer.schedule": "constant"}, epochs=1), tmp_path / "constant", callbacks=[Watch()]
    )
    assert rates_of(constant) == pytest.approx([1e-20, 1e-20, 5e-21])
    assert notices[0].startswith("the learning rate is multiplied by 0.5: 1 validation without a better accuracy than")
    cosine = tfdl.train(tiny({**changes, "optimizer.schedule": "cosine"}), tmp_path / "cosine")
    plain = tfdl.train(tiny({**changes, "optimizer.schedule": "cosine", "plateau_patience": None}), tmp_path / "plain")
    factors = np.divide(rates_of(cosine), rates_of(plain))
    np.testing.assert_allclose(factors[:3], [1, 1, 0.5], rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("plateau_patience", 0, "plateau_patience=0, expected a number of at least 1"),
        ("plateau_factor", 1.0, r"plateau_factor=1\.0, expected a number between 0 and 1"),
        ("plateau_factor", float("nan"), "plateau_factor=nan, expected a number between 0 and 1"),
        ("validation_steps", 0, "validation_steps=0, expected a number of at least 1"),
    ],
)
def test_values_that_cannot_be(name, value, expected):
    with pytest.raises(UserError, match=expected):
        tfdl.TrainConfig(**{name: value})
