"""The run's optimizer: durations in steps, the rate over ranks, and what decay leaves alone."""

import itertools
import json
import math
import os
import signal

import numpy as np
import pytest
from safetensors.numpy import load_file

import tfdl
from tfdl.config import AdamConfig, SGDConfig
from tfdl.errors import StoppedError, UserError
from tfdl.evaluation import evaluate
from tfdl.runs import Progress
from tfdl.training import Callback
from tfdl.training.optimization import (
    changed_schedule_note,
    early_end_note,
    follow_plan,
    optimizer_for,
    rate_note,
)


def build(config, **changes):
    model = tfdl.build_model("cnn", input_shape=(8, 8, 1), num_classes=3, filters=(3,), units=5)
    lengths = {"total_steps": 100, "steps_per_epoch": 20, "ranks": 1, **changes}
    return optimizer_for(config, model, **lengths), model


def rate_at(optimizer, step):
    optimizer.iterations.assign(step)
    return float(optimizer.learning_rate)


def test_a_warm_up_in_epochs_is_one_in_steps():
    in_epochs, _ = build(AdamConfig(warmup_epochs=0.5, schedule="cosine"))
    in_steps, _ = build(AdamConfig(warmup_steps=10, schedule="cosine"))
    assert [rate_at(in_epochs, step) for step in range(0, 100, 7)] == [
        rate_at(in_steps, step) for step in range(0, 100, 7)
    ]
    assert rate_at(in_steps, 0) < rate_at(in_steps, 9) == pytest.approx(0.001)
    assert rate_at(in_steps, 99) < 1e-5


@pytest.mark.parametrize("schedule", ["linear", "cosine", "one_cycle", "step"])
def test_a_schedule_may_be_planned_for_a_longer_run(schedule):
    longer, _ = build(AdamConfig(schedule=schedule), total_steps=200)
    for planned in ({"schedule_epochs": 10}, {"schedule_steps": 200}):
        optimizer, _ = build(AdamConfig(schedule=schedule, **planned))
        for step in range(0, 220, 11):
            assert rate_at(optimizer, step) == rate_at(longer, step)
    with pytest.raises(UserError, match=r"schedule_steps=9 and optimizer\.schedule_epochs=2.0, pass one of them"):
        AdamConfig(schedule_steps=9, schedule_epochs=2)


def test_a_resume_with_another_length_warns_if_the_schedule_changes():
    note = changed_schedule_note(AdamConfig(schedule="cosine"), 920, 1380)
    assert note.startswith("the schedule 'cosine', which was to end at step 920, now ends at step 1,380: the learning")
    assert changed_schedule_note(AdamConfig(schedule="cosine"), 920, 920) == ""
    assert changed_schedule_note(AdamConfig(schedule="cosine", schedule_epochs=60), 920, 1380) == ""
    assert changed_schedule_note(AdamConfig(), 920, 1380) == ""
    assert changed_schedule_note(AdamConfig(schedule="inverse_sqrt"), 920, 1380) == ""


def test_a_schedule_that_ends_before_the_run_is_reported():
    short = AdamConfig(schedule="cosine", schedule_epochs=0.001)
    assert early_end_note(short, 300, 100).startswith("the schedule 'cosine' is planned for 1 of the 300 steps; then")
    assert early_end_note(AdamConfig(schedule="cosine", schedule_epochs=3), 300, 100) == ""
    assert early_end_note(AdamConfig(schedule="cosine"), 300, 100) == ""
    assert early_end_note(AdamConfig(schedule_epochs=1), 300, 100) == ""


def test_a_planned_schedule_continues_exactly(tiny, tmp_path):
    notes = []

    class Notes(Callback):
        def on_start(self, plan):
            notes.append([note for note in plan.notes if "schedule" in note])

    planned = AdamConfig(schedule="cosine", schedule_epochs=3)
    straight = tfdl.train(tiny(epochs=3, optimizer=AdamConfig(schedule="cosine")), tmp_path / "straight")
    tfdl.train(tiny(epochs=2, optimizer=planned), tmp_path / "planned")
    resumed = tfdl.train(tiny(epochs=3, optimizer=planned), tmp_path / "planned", resume=True, callbacks=[Notes()])
    assert resumed.read_summary()["weights_sha256"] == straight.read_summary()["weights_sha256"]
    # Its control: without a plan the rate jumps, and the run says so.
    unplanned = AdamConfig(schedule="cosine")
    tfdl.train(tiny(epochs=2, optimizer=unplanned), tmp_path / "unplanned")
    jumped = tfdl.train(tiny(epochs=3, optimizer=unplanned), tmp_path / "unplanned", resume=True, callbacks=[Notes()])
    assert jumped.read_summary()["weights_sha256"] != straight.read_summary()["weights_sha256"]
    assert [len(found) for found in notes] == [0, 1]


def test_a_warm_up_longer_than_the_run():
    with pytest.raises(UserError, match="a warm-up of 200 steps in a run of 100 steps; expected a shorter one"):
        build(AdamConfig(warmup_epochs=10))


@pytest.mark.parametrize(("scaling", "factor"), [("none", 1), ("linear", 4), ("sqrt", 2)])
def test_the_rate_over_four_ranks(scaling, factor):
    optimizer, _ = build(SGDConfig(learning_rate=0.125, scale_learning_rate=scaling), ranks=4)
    assert float(optimizer.learning_rate) == 0.125 * factor


def test_a_restored_rate_gives_way_to_that_of_the_present_ranks():
    config = SGDConfig(learning_rate=0.125, scale_learning_rate="linear")
    optimizer, _ = build(config, ranks=4)
    progress = Progress(step=7, rate_scale=4.0)
    follow_plan(optimizer, config, progress, num_ranks=2, ahead=7)
    assert float(optimizer.learning_rate) == 0.25
    assert progress.rate_scale == 2.0


def test_a_rate_that_a_callback_changed_keeps_its_change():
    config = SGDConfig(learning_rate=0.125, scale_learning_rate="linear")
    optimizer, _ = build(config, ranks=4)
    optimizer.learning_rate = 0.05  # as ReduceLROnPlateau does
    follow_plan(optimizer, config, Progress(step=7, rate_scale=4.0), num_ranks=2, ahead=0)
    assert float(optimizer.learning_rate) == pytest.approx(0.025)


def test_a_checkpoint_that_has_no_scale_takes_the_rate_of_its_configuration():
    config = SGDConfig(learning_rate=0.125, scale_learning_rate="linear")
    optimizer, _ = build(config, ranks=4)
    follow_plan(optimizer, config, Progress(step=7), num_ranks=2, ahead=0)
    assert float(optimizer.learning_rate) == 0.25


def test_a_schedule_is_read_at_the_place_in_the_plan():
    """50 of 200 steps were made on two ranks; on one, the same place is step 100 of 400."""
    config = AdamConfig(schedule="cosine", warmup_epochs=1)
    before, _ = build(config, total_steps=200, steps_per_epoch=20, ranks=2)
    after, _ = build(config, total_steps=400, steps_per_epoch=40, ranks=1)
    follow_plan(after, config, Progress(step=50, rate_scale=1.0), num_ranks=1, ahead=50)
    assert rate_at(after, 50) == pytest.approx(rate_at(before, 50), rel=0.01)
    assert rate_at(after, 350) == pytest.approx(0, abs=1e-9)


def test_the_scaling_in_words():
    linear = AdamConfig(scale_learning_rate="linear")
    sqrt = AdamConfig(scale_learning_rate="sqrt")
    assert rate_note(AdamConfig(), 4) == ""
    assert rate_note(linear, 4) == "learning rate 0.001 x 4 (4 ranks) = 0.004"
    assert rate_note(linear, 1) == "learning rate 0.001 x 1 (1 rank) = 0.001"
    assert rate_note(sqrt, 4) == "learning rate 0.001 x 2 (the square root of 4 ranks) = 0.002"


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_decay_leaves_biases_and_gains_alone(name):
    config = tfdl.TrainConfig(optimizer={"name": name, "weight_decay": 0.5, "learning_rate": 0.1}).optimizer
    optimizer, model = build(config)
    before = {variable.path: np.asarray(variable) for variable in model.trainable_variables}
    optimizer.build(model.trainable_variables)
    zeros = [np.zeros(variable.shape, "float32") for variable in model.trainable_variables]
    optimizer.apply(zeros, model.trainable_variables)
    for variable in model.trainable_variables:
        share = 0.95 if len(variable.shape) > 1 else 1.0
        np.testing.assert_allclose(variable, before[variable.path] * share, rtol=1e-6, err_msg=variable.path)


def test_a_run_s_rates_follow_its_schedule(tiny, tmp_path):
    run = tfdl.train(tiny({"optimizer.schedule": "linear", "steps_per_execution": 1}, steps=10), tmp_path / "run")
    rates = [row["learning_rate"] for row in map(json.loads, run.metrics_path.open()) if row["kind"] == "steps"]
    assert len(rates) == 10
    assert all(later < earlier for earlier, later in itertools.pairwise(rates))
    assert rates[-1] == pytest.approx(0, abs=1e-7)


def rates(run):
    """The rate after each report of steps, by step."""
    rows = [row for row in map(json.loads, run.metrics_path.open()) if row["kind"] == "steps"]
    return {row["step"]: row["learning_rate"] for row in rows}


def test_more_epochs_stretch_the_schedule(tiny, tmp_path):
    """A run of one epoch, then of two: from there on it follows the line that ends with the second."""
    fields = {"optimizer.schedule": "linear", "optimizer.learning_rate": 0.01, "steps_per_execution": 1}
    short = tfdl.train(tiny({**fields, "epochs": 1}), tmp_path / "run")
    assert rates(short)[11] == pytest.approx(0.01 / 12, rel=1e-5)
    longer = rates(tfdl.train(tiny(fields), short.path, resume=True))
    assert longer[13] == pytest.approx(0.01 * 11 / 24, rel=1e-5)
    assert longer[23] == pytest.approx(0.01 / 24, rel=1e-5)


EVERYTHING = {
    "optimizer": "adamw",
    "optimizer.weight_decay": 0.1,
    "optimizer.schedule": "cosine",
    "optimizer.warmup_steps": 3,
    "optimizer.clip_norm": 1.0,
    "optimizer.ema_momentum": 0.9,
    "batch_size": 40,
    "accumulation_steps": 3,
    "precision": "mixed_float16",
    "steps_per_execution": 2,
}


class StopAt(Callback):
    """Asks this process to stop, as a scheduler would."""

    def __init__(self, step):
        self.step = step

    def on_steps(self, report):
        if report.progress.step == self.step:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(scope="module")
def straight(tiny, tmp_path_factory):
    return tfdl.train(tiny(EVERYTHING), tmp_path_factory.mktemp("straight") / "run")


def test_a_stopped_run_goes_on_exactly_with_all_of_it(straight, tiny, tmp_path):
    with pytest.raises(StoppedError):
        tfdl.train(tiny(EVERYTHING), tmp_path / "run", callbacks=[StopAt(16)])  # within the second epoch
    whole = tfdl.train(tiny(EVERYTHING), tmp_path / "run", resume=True)
    for file in ("model", "optimizer", "random"):
        mine, other = (load_file(run.checkpoint("last") / f"{file}.safetensors") for run in (whole, straight))
        assert mine.keys() == other.keys()
        for name, value in mine.items():
            np.testing.assert_array_equal(value, other[name], err_msg=name)
    for key in ("weights_sha256", "validation", "test", "steps", "global_batch_size"):
        assert whole.read_summary()[key] == straight.read_summary()[key], key
    assert evaluate(whole) == straight.read_summary()["test"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"warmup_steps": 3, "warmup_epochs": 1}, r"warmup_steps=3 and optimizer\.warmup_epochs=1\.0, pass one of"),
        (
            {"schedule": {"name": "cosine", "final_fraction": 2}},
            r"optimizer\.schedule\.final_fraction=2\.0, expected a number from 0 to 1",
        ),
        (
            {"schedule": {"name": "step", "milestones": [0.5, 0.2]}},
            r"optimizer\.schedule\.milestones=\[0\.5, 0\.2\], expected rising fractions",
        ),
        ({"schedule": "cosin"}, r"unknown schedule 'cosin', expected one of .* Did you mean 'cosine'"),
        ({"ema_momentum": 1}, r"optimizer\.ema_momentum=1\.0, expected a number from 0 to below 1"),
        ({"weight_decay": -1}, r"optimizer\.weight_decay=-1\.0, expected a number of at least 0"),
        ({"weight_decay": math.nan}, r"optimizer\.weight_decay=nan, expected a number of at least 0"),
    ],
)
def test_bad_input(fields, message):
    with pytest.raises(UserError, match=message):
        AdamConfig(**fields)
