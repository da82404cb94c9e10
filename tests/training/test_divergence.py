"""A step whose loss or gradients are NaN or infinite is not made, its cause is named, and a run may go back."""

import json
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.config import compose
from tfdl.data.pipeline import WEIGHT
from tfdl.distributed import SingleWorld
from tfdl.errors import UserError
from tfdl.runs.load import load_run
from tfdl.tasks import ImageClassification
from tfdl.training import Trainer, divergence
from tfdl.training.divergence import DivergenceError, find_cause
from tfdl.training.rank_finding import RankFinding, in_words

TASK = ImageClassification((8, 8, 1), ("a", "b", "c"), resized=False)
SIZE = 6


def batches(count=3):
    random = np.random.default_rng(0)
    for _ in range(count):
        images = random.integers(0, 256, (SIZE, 8, 8, 1), np.uint8)
        labels = random.integers(0, 3, SIZE).astype(np.int32)
        yield {"image": images, "label": labels, WEIGHT: np.ones(SIZE, np.float32)}


def with_dropout():
    """A model with statistics and random numbers, and an optimizer with a state and averages."""
    keras.utils.set_random_seed(0)
    model = tfdl.build_model("cnn", input_shape=(8, 8, 1), num_classes=3, filters=(3,), units=5, dropout=0.5)
    return model, tfdl.build_optimizer("adam", ema_momentum=0.9)


class Faulty(ImageClassification):
    """The loss of some samples goes wrong in one batch: that whose first label is 9."""

    def __init__(self, fault):
        super().__init__((8, 8, 1), ("a", "b", "c"), resized=False)
        self.fault = fault

    def losses(self, batch, outputs):
        is_faulty = tf.equal(batch["label"][0], 9)
        labels = tf.minimum(batch["label"], 2)
        losses, weights = super().losses({**batch, "label": labels}, outputs)
        third = tf.one_hot(2, tf.size(losses), dtype=losses.dtype)
        if self.fault == "loss":  # its gradient is that of the loss without it
            return losses + tf.where(is_faulty, third, 0.0) * float("inf"), weights
        # The root's slope at 0 is infinite.
        root = tf.sqrt(tf.reduce_sum(outputs - tf.stop_gradient(outputs)) + tf.where(is_faulty, 0.0, 1.0))
        return losses + tf.where(is_faulty, root, 0.0), weights


class Masked(Faulty):
    """The infinite loss is added without a NaN of 0 times infinity."""

    def losses(self, batch, outputs):
        losses, weights = Faulty("gradient").losses({**batch, "label": tf.minimum(batch["label"], 2)}, outputs)
        is_third = tf.logical_and(tf.equal(tf.range(tf.size(losses)), 2), tf.equal(batch["label"][0], 9))
        return tf.where(is_third, float("inf"), losses), weights


def trainer_of(task, pieces=1):
    model, optimizer = with_dropout()
    return Trainer(model, optimizer, task, SingleWorld(), accumulation_steps=pieces)


def run(trainer, data):
    data = list(data)
    signature = {name: tf.TensorSpec([None, *value.shape[1:]], value.dtype) for name, value in data[0].items()}
    dataset = tf.data.Dataset.from_generator(lambda: iter(data), output_signature=signature)
    return trainer.run(iter(dataset), len(data))


def bad(batch):
    return {**batch, "label": np.where(np.arange(SIZE) == 0, 9, batch["label"]).astype(np.int32)}


def state(trainer):
    return [np.array(variable) for variable in trainer.variables]


def assert_equal(states):
    first, second = states
    for mine, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("pieces", [1, 2])
@pytest.mark.parametrize("task", [Masked("loss"), Faulty("gradient")], ids=["loss", "gradient"])
def test_nothing_remains_of_a_step_that_is_not_made(task, pieces):
    """Weights, statistics, random streams, the optimizer and its averages, and the sums of the metrics."""
    first, second, third = batches()
    straight = trainer_of(task, pieces)
    assert run(straight, [first]) == 1
    trainer = trainer_of(task, pieces)
    assert run(trainer, [first, bad(second), third]) == 1
    assert_equal([state(trainer), state(straight)])
    np.testing.assert_array_equal(trainer.take_sums(), straight.take_sums())
    # It continues as if the batch had not been there.
    assert run(straight, [second, third]) == run(trainer, [second, third]) == 2
    assert_equal([state(trainer), state(straight)])


def test_the_control_changes_with_each_batch():
    first, second, _ = batches()
    trainer = trainer_of(Faulty("gradient"))
    run(trainer, [first])
    before = state(trainer)
    run(trainer, [second])
    with pytest.raises(AssertionError):
        assert_equal([before, state(trainer)])


@pytest.mark.parametrize("pieces", [1, 4])
def test_the_cause_of_a_loss(pieces):
    first, second, _ = batches()
    trainer = trainer_of(Masked("loss"), pieces)
    run(trainer, [first])
    before = state(trainer)
    found = find_cause(trainer, {name: tf.constant(value) for name, value in bad(second).items()}, range(20, 26))
    assert (found.samples, found.layer, found.bad_inputs) == ([*range(20, 26)], "", {})
    if pieces == 1:  # a piece has its own third sample, and its own first one
        assert found.bad_losses == [22]
    assert_equal([state(trainer), before])


def test_the_cause_of_a_gradient():
    _, second, _ = batches()
    trainer = trainer_of(Faulty("gradient"))
    found = find_cause(trainer, {name: tf.constant(value) for name, value in bad(second).items()}, range(SIZE))
    assert (found.bad_losses, found.layer) == ([], "")
    assert found.variables == [variable.path for variable in trainer.model.trainable_variables]


@pytest.mark.parametrize("number", [0, 3])
def test_the_first_layer(number):
    _, second, _ = batches()
    trainer = trainer_of(TASK)
    kernel = [variable for variable in trainer.model.trainable_variables if "kernel" in variable.path][number // 3]
    kernel.assign(
        np.full(kernel.shape, 1e38)
    )  # sums overflow; some kernels' ReLU makes 0 of a NaN, but not of infinity
    found = find_cause(trainer, {name: tf.constant(value) for name, value in second.items()}, range(SIZE))
    assert found.layer.split(" ")[0] in kernel.path


FINE = RankFinding(0, [1, 2])


@pytest.mark.parametrize(
    ("findings", "text"),
    [
        ([RankFinding(0, [5, 6], bad_losses=[6])], "the loss of training sample 6 is NaN or infinite"),
        (
            [FINE, RankFinding(1, [3, 4], bad_losses=[3, 4], layer="dense (Dense)", variables=["dense/kernel"])],
            "the loss of training samples 3, 4 on rank 1 is NaN or infinite; the first layer whose output is NaN or"
            " infinite is dense (Dense)",
        ),
        (
            [RankFinding(0, [*range(9)], variables=["a/kernel", "a/bias"]), RankFinding(1, [9], variables=["a/bias"])],
            "the gradient of a/kernel, a/bias is NaN or infinite in a batch of training samples 0, 1, 2, 3, 4 and 4"
            " more on rank 0, though the loss is finite",
        ),
        (
            [RankFinding(0, [8], variables=["a/kernel"]), RankFinding(1, [9], variables=["a/kernel"])],
            "the gradient of a/kernel is NaN or infinite in a batch of training samples 8, 9 on ranks 0, 1, though the"
            " loss is finite",
        ),
        (
            [
                RankFinding(0, [5], bad_losses=[5], layer="batch_normalization (BatchNormalization)", layer_number=1),
                RankFinding(1, [7], bad_inputs={"x": [7]}, bad_losses=[7], layer="dense (Dense)", layer_number=0),
            ],
            "'x' of training sample 7 on rank 1 has NaN or infinite values",
        ),
        (
            [
                RankFinding(0, [5], bad_losses=[5], layer="batch_normalization (BatchNormalization)", layer_number=1),
                RankFinding(1, [7], bad_losses=[7], layer="dense (Dense)", layer_number=0),
            ],
            "the loss of training sample 7 on rank 1 is NaN or infinite; the first layer whose output is NaN or"
            " infinite is dense (Dense)",
        ),
        (
            [RankFinding(0, [7], layer="log (Lambda)")],
            "log (Lambda) returns NaN or infinite values in a batch of training sample 7, though loss and gradients are"
            " finite",
        ),
        (
            [RankFinding(0, [7], bad_sums=["the sum of the losses"])],
            "the sum of the losses is NaN or infinite in a batch of training sample 7, though each sample's loss is"
            " finite",
        ),
        (
            [RankFinding(0, [7], failure="out of scope")],
            "its loss or a gradient is NaN or infinite (it could not be computed again: out of scope)",
        ),
        ([FINE], "its loss or a gradient is NaN or infinite, but computed again, all numbers are finite"),
        ([FINE, FINE], "the gradients are finite on every rank, and their sum over the ranks is not"),
    ],
)
def test_in_words(findings, text):
    assert in_words(findings, "training samples") == text


def test_windows_in_words():
    assert in_words([RankFinding(0, [5], bad_losses=[5])], "training windows of 35 tokens").startswith(
        "the loss of training window 5 is"
    )


# Runs

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
    # Not compiled, so that the optimizer is that of the configuration.
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


def test_the_error_comes_through_to_other_ranks():
    """An error of rank 0 alone, such as that of a run without a checkpoint to go back to, is sent to all."""
    error = DivergenceError("step 3 was not made", "do this", is_saveable=False, findings=[FINE]).after("tried twice")
    sent = pickle.loads(pickle.dumps(error))
    assert str(sent) == str(error)
    assert str(error).startswith("step 3 was not made; tried twice; train again with a lower --learning-rate")
    assert (sent.is_saveable, sent.findings) == (False, (FINE,))
