"""A step whose loss or gradients are NaN or infinite is not made, its cause is named, and a run may go back."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.data.pipeline import WEIGHT
from tfdl.distributed import SingleWorld
from tfdl.runs.load import load_run
from tfdl.tasks import ImageClassification
from tfdl.training import Trainer
from tfdl.training.divergence import DivergenceError, RankFinding, find_cause, in_words

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
    kernel.assign(np.full(kernel.shape, np.inf))
    found = find_cause(trainer, {name: tf.constant(value) for name, value in second.items()}, range(SIZE))
    assert found.layer.split(" ")[0] in kernel.path
    assert found.bad_losses


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
        ([FINE], "computed again, all its numbers are finite"),
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
    ones = np.ones([32, 1], np.float32)
    data = dict.fromkeys(("train", "validation", "test"), (ones, 2 * ones))
    return {"model": model, "data": data, **options}


def settings(**changes):
    return tfdl.TrainConfig(**{"batch_size": 4, "epochs": 30, "steps_per_execution": 3, **changes})


def test_a_run_ends_with_the_last_finite_weights(tmp_path):
    with pytest.raises(DivergenceError, match=r"step \d+ was not made: .*; train again with a lower --learning") as e:
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


def test_a_schedule_is_reduced_and_resumed(tiny, tmp_path):
    """Rates of a schedule, after a return and a resume."""
    changes = {
        "model.filters": [4], "model.batch_normalization": False, "optimizer": "sgd", "optimizer.learning_rate": 1e9,
        "optimizer.schedule": "cosine", "optimizer.schedule_epochs": 4.0, "on_divergence": "rollback",
        "max_rollbacks": 60,
    }  # fmt: skip
    rates = {}

    class Watch(tfdl.training.Callback):
        def on_steps(self, report):
            rates[report.progress.step] = report.learning_rate

    run = tfdl.train(tiny(changes, epochs=2), tmp_path / "run", callbacks=[Watch()])
    progress = json.loads((run.checkpoints / "last" / "progress.json").read_text())
    factor = progress["rate_factor"]
    assert factor == 0.5 ** progress["rollbacks"] < 1
    tfdl.train(tiny(changes, epochs=3), run.path, resume=True, callbacks=[Watch()])
    total = 48
    for step, rate in rates.items():
        expected = 1e9 * factor * 0.5 * (1 + np.cos(np.pi * step / total))
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
