"""Runs that diverge: they end with the last finite weights, or go back to a checkpoint."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tests.training.test_divergence import assert_equal
from tfdl.config import compose
from tfdl.errors import UserError
from tfdl.runs.load import load_run
from tfdl.training import divergence
from tfdl.training.divergence import DivergenceError

SLOPE = 6.0  # times the largest rate with which the loss does not grow


def line(rate, **options):
    """A line through points, whose loss grows without end if the rate is too large.

    The loss of the weight w is (w - 2)^2, so a step multiplies the error by 1 - 2 rate.
    """
    model = keras.Sequential([keras.layers.Input([1]), keras.layers.Dense(1, "linear", False, "zeros")])
    model.compile(keras.optimizers.SGD(rate), loss="mse")

    def ones():
        return np.ones([32, 1], np.float32)

    data = {split: (ones(), 2 * ones()) for split in ("train", "validation", "test")}
    return {"model": model, "data": data, **options}


def settings(**changes):
    return tfdl.TrainConfig(**{"batch_size": 4, "epochs": 30, "steps_per_execution": 3, **changes})


def test_a_run_ends_with_the_last_finite_weights(tmp_path):
    cause = (
        r"step \d+ was not made: the (sum of the losses|loss of|gradient of) .*; train again with a lower --learning"
    )
    with pytest.raises(DivergenceError, match=cause) as e:
        tfdl.train(settings(), tmp_path / "run", **line(SLOPE))
    directory = tmp_path / "run"
    step = int(str(e.value).split()[1])
    assert json.loads((directory / "status.json").read_text())["code"] == 1
    record = json.loads((directory / "divergence.json").read_text())
    assert (record["step"], [rank["rank"] for rank in record["ranks"]]) == (step, [0])
    assert len(record["ranks"][0]["samples"]) == 4
    assert (directory / "checkpoints" / "last").resolve().name == f"step-{step - 1:08d}"
    # The same as a run that was planned to end there.
    shorter = tfdl.train(settings(epochs=None, steps=step - 1), tmp_path / "shorter", **line(SLOPE))
    weights = [load_run(path).model.get_weights() for path in (directory, shorter.path)]
    assert_equal(weights)


def test_a_run_goes_back_until_the_rate_is_small_enough(tmp_path):
    notices = []

    class Watch(tfdl.training.Callback):
        def on_notice(self, text):
            notices.append(text)

    config = settings(on_divergence="rollback", max_rollbacks=4)
    run = tfdl.train(config, tmp_path / "run", callbacks=[Watch()], **line(SLOPE))
    factors = [
        json.loads(text)["rate_factor"] for text in run.metrics_path.read_text().splitlines() if "return" in text
    ]
    assert len(notices) == 3  # 6, 3 and 1.5 are too large; with 0.75 the error is halved at each step
    assert "the run goes back to step" in notices[0]
    assert "continues with 0.5 times the learning rate" in notices[0]
    assert factors[-1] == 0.125
    assert run.read_summary()["test"]["loss"] < 1e-6
    assert run.read_summary()["steps"] == 240
    progress = json.loads((run.checkpoints / "last" / "progress.json").read_text())
    assert (progress["rollbacks"], progress["rate_factor"]) == (3, 0.125)


def test_a_run_that_goes_back_too_often_ends(tmp_path):
    config = settings(on_divergence="rollback", max_rollbacks=2)
    with pytest.raises(DivergenceError, match=r"the run had gone back to a checkpoint 2 times \(max_rollbacks=2\)"):
        tfdl.train(config, tmp_path / "run", **line(SLOPE))


def test_the_returned_run_has_the_bits_of_one_with_the_smaller_rate(tmp_path):
    """It diverges in its second epoch, after which it is as if it had been resumed with half the rate."""
    start = 1.75  # the loss grows by 6.25 in each step, and is infinite in the second epoch

    def run_of(path, rate, **changes):
        return tfdl.train(settings(epochs=6, **changes), tmp_path / path, **line(rate))

    found = run_of("run", start, on_divergence="rollback", max_rollbacks=2)
    progress = json.loads((found.checkpoints / "last" / "progress.json").read_text())
    returns = [row for row in map(json.loads, found.metrics_path.read_text().splitlines()) if row["kind"] == "return"]
    assert progress["rollbacks"] == len(returns) == 1
    # By hand: the error is -2 at first, and multiplied by 1 - 2 rate.
    before = returns[0]["step"]
    error = np.float32(-2) * np.float32(1 - 2 * start) ** before * np.float32(1 - start) ** (48 - before)
    assert load_run(found).model.get_weights()[0].item() == pytest.approx(2 + error, rel=1e-3)


def test_a_validation_that_diverges_is_a_divergence(tmp_path):
    """The only step of each epoch makes the weight too large for the loss."""
    config = settings(batch_size=32, epochs=3, on_divergence="rollback", max_rollbacks=200)
    run = tfdl.train(config, tmp_path / "run", **line(3e30))
    assert np.isfinite(run.read_summary()["test"]["loss"])
    config = settings(batch_size=32, epochs=3)
    with pytest.raises(DivergenceError, match=r"the validation loss is (inf|nan) at step 1; train again"):
        tfdl.train(config, tmp_path / "other", **line(3e30))


def test_a_divergence_after_a_validation_leaves_its_result(tmp_path):
    """The checkpoint is the one that the validation wrote, and a resumed run does not validate again."""
    arguments = line(0.1)
    arguments["data"]["train"][0][:] = 1
    order = np.random.Generator(np.random.Philox(key=[0, 0])).permutation(32)
    arguments["data"]["train"][0][order[8]] = np.nan  # in the third batch
    with pytest.raises(DivergenceError, match="step 3 was not made"):
        tfdl.train(settings(validation_steps=2), tmp_path / "run", **arguments)
    progress = json.loads((tmp_path / "run" / "checkpoints" / "last" / "progress.json").read_text())
    assert (progress["step"], progress["validation"]["loss"] > 0) == (2, True)


@keras.saving.register_keras_serializable(package="divergence")
class FillMissing(keras.layers.Layer):
    """Missing values become 1."""

    def call(self, inputs):
        return tf.where(tf.math.is_nan(inputs), 1.0, inputs)


def test_missing_values_that_the_model_expects_are_not_blamed(tmp_path):
    arguments = line(SLOPE)
    arguments["data"]["train"][0][::2] = np.nan
    model = keras.Sequential([keras.layers.Input([1]), FillMissing(), keras.layers.Dense(1, "linear", False, "zeros")])
    model.compile(keras.optimizers.SGD(SLOPE), loss="mse")
    config = settings(on_divergence="rollback", max_rollbacks=4)
    run = tfdl.train(config, tmp_path / "run", **{**arguments, "model": model})
    assert run.read_summary()["test"]["loss"] < 1e-6


@pytest.mark.parametrize("layer", ["lstm", "rnn"])
@pytest.mark.parametrize("pieces", [1, 2])
def test_layers_in_loops(tmp_path, layer, pieces):
    """The outputs of a cell belong to the graph of the loop: they are not looked at, and do no harm."""
    recurrent = keras.layers.LSTM(3) if layer == "lstm" else keras.layers.RNN(keras.layers.SimpleRNNCell(3))
    model = keras.Sequential([keras.layers.Input([4, 2]), recurrent, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(16, 4, 2)).astype(np.float32)
    y = np.ones([16, 1], np.float32)
    bad = np.where(np.arange(16)[:, np.newaxis] == 5, np.inf, y).astype(np.float32)
    splits = {"validation": (x, y), "test": (x, y)}
    config = settings(batch_size=4, accumulation_steps=pieces, epochs=1, debug_numerics=True)
    tfdl.train(config, tmp_path / "fine", model=model, data={"train": (x, y), **splits})
    with pytest.raises(DivergenceError, match=r"'y' of training sample 5 has NaN or infinite values"):
        tfdl.train(config, tmp_path / "run", model=model, data={"train": (x, bad), **splits})


def test_a_cause_that_cannot_be_found_hides_nothing(tmp_path, monkeypatch):
    """The run still goes back."""

    def fail(*_):
        raise ValueError("no graph")

    monkeypatch.setattr(divergence, "_examined", fail)
    with pytest.raises(DivergenceError, match=r"\(it could not be computed again: no graph\); train again"):
        tfdl.train(settings(), tmp_path / "run", **line(SLOPE))
    assert (tmp_path / "run" / "checkpoints" / "last").exists()


def test_a_callback_that_sets_the_rate_is_refused(tmp_path):
    callbacks = [keras.callbacks.LearningRateScheduler(lambda _: 6.0)]
    for changes, option in (
        ({"on_divergence": "rollback"}, "on_divergence"),
        ({"plateau_patience": 2}, "plateau_pati"),
    ):
        with pytest.raises(
            UserError, match=f"LearningRateScheduler sets the learning rate of each epoch, and {option}"
        ):
            tfdl.train(settings(**changes), tmp_path / "run", callbacks=callbacks, **line(0.1))


def test_float16_has_no_debug_numerics():
    with pytest.raises(UserError, match="debug_numerics=True, expected false with precision mixed_float16"):
        tfdl.TrainConfig(debug_numerics=True, precision="mixed_float16")


def test_a_run_that_diverged_can_be_resumed_with_other_choices(tmp_path):
    with pytest.raises(DivergenceError):
        tfdl.train(settings(), tmp_path / "run", **line(SLOPE))
    config = settings(on_divergence="rollback", max_rollbacks=9)
    run = tfdl.train(config, tmp_path / "run", resume=True, **line(SLOPE))
    assert np.isfinite(run.read_summary()["test"]["loss"])


def test_a_schedule_is_reduced_and_resumed(tmp_path):
    """Rates of a schedule, after a return and a resume."""
    config = compose(
        {
            "batch_size": 4, "steps_per_execution": 3, "epochs": 30, "optimizer": "sgd", "optimizer.momentum": 0.0,
            "optimizer.learning_rate": SLOPE, "optimizer.schedule": "cosine", "optimizer.schedule_epochs": 60.0,
            "on_divergence": "rollback", "max_rollbacks": 9,
        }
    )  # fmt: skip
    rates = {}

    class Watch(tfdl.training.Callback):
        def on_steps(self, report):
            rates[report.progress.step] = report.learning_rate

    arguments = line(SLOPE)
    # Not compiled: the optimizer is that of the configuration.
    arguments["model"] = keras.Sequential([keras.layers.Input([1]), keras.layers.Dense(1, "linear", False, "zeros")])
    arguments |= {"task": tfdl.tasks.Objective(loss="mse"), "callbacks": [Watch()]}
    run = tfdl.train(config, tmp_path / "run", **arguments)
    progress = json.loads((run.checkpoints / "last" / "progress.json").read_text())
    factor = progress["rate_factor"]
    assert factor == 0.5 ** progress["rollbacks"] < 1
    rates.clear()
    tfdl.train(config.replace(epochs=40), run.path, resume=True, **arguments)
    total = 60 * 8
    assert max(rates) == 40 * 8
    for step, rate in rates.items():
        expected = SLOPE * factor * 0.5 * (1 + np.cos(np.pi * step / total))
        assert rate == pytest.approx(expected, rel=1e-4), step


@pytest.mark.parametrize("mode", ["stop", "rollback"])
def test_data_with_nan_is_named_and_not_tried_again(tmp_path, mode):
    arguments = line(0.1)
    arguments["data"]["train"][0][17] = np.nan
    with pytest.raises(DivergenceError, match=r"'x' of training sample 17 has NaN or infinite values; remove or rep"):
        tfdl.train(settings(on_divergence=mode), tmp_path / "run", **arguments)


def test_weights_that_an_update_made_infinite_are_not_saved(tmp_path):
    arguments = line(3e38)
    with pytest.raises(DivergenceError, match=r"after step 1 .*/kernel has NaN or infinite values; train again"):
        tfdl.train(settings(checkpoint_steps=1), tmp_path / "run", **arguments)
    assert not [*(tmp_path / "run" / "checkpoints").glob("step-*")]


@keras.saving.register_keras_serializable(package="divergence")
class Logarithm(keras.layers.Layer):
    """Infinite where its input is 0."""

    def call(self, inputs):
        return tf.math.log(inputs)


@keras.saving.register_keras_serializable(package="divergence")
class Finite(keras.layers.Layer):
    """Hides infinite values."""

    def call(self, inputs):
        return tf.where(tf.math.is_finite(inputs), inputs, 0.0)


@pytest.mark.parametrize("checks", [False, True])
def test_debug_numerics_finds_a_hidden_layer(tmp_path, checks):
    inputs = keras.Input([1])
    hidden = Finite()(Logarithm(name="log")(keras.layers.ReLU()(inputs)))
    model = keras.Model(inputs, keras.layers.Dense(1)(hidden))
    model.compile("sgd", "mse")
    x = np.linspace(-1, 1, 32, dtype=np.float32)[:, np.newaxis]
    data = dict.fromkeys(("train", "validation", "test"), (x, x))
    config = settings(debug_numerics=checks, epochs=1)
    if not checks:
        tfdl.train(config, tmp_path / "run", model=model, data=data)
        return
    with pytest.raises(DivergenceError, match=r"step 1 was not made: log \(Logarithm\) returns NaN or infinite"):
        tfdl.train(config, tmp_path / "run", model=model, data=data)
