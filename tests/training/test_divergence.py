"""A step whose loss or gradients are NaN or infinite is not made, and its cause is named."""

import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.data.pipeline import WEIGHT
from tfdl.distributed import SingleWorld
from tfdl.tasks import ImageClassification
from tfdl.training import Trainer
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


def test_the_error_comes_through_to_other_ranks():
    """An error of rank 0 alone, such as that of a run without a checkpoint to go back to, is sent to all."""
    error = DivergenceError("step 3 was not made", "do this", is_saveable=False, findings=[FINE]).after("tried twice")
    sent = pickle.loads(pickle.dumps(error))
    assert str(sent) == str(error)
    assert str(error).startswith("step 3 was not made; tried twice; train again with a lower --learning-rate")
    assert (sent.is_saveable, sent.findings) == (False, (FINE,))
