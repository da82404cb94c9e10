"""One step against Keras's own training, and over ranks against the whole batch."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.distributed import SingleWorld
from tfdl.tasks import ImageClassification
from tfdl.training import Trainer

TASK = ImageClassification((8, 8, 1), ("a", "b", "c"), resized=False)


def batch(size=9):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (size, 8, 8, 1), np.uint8)
    return {"image": images, "label": random.integers(0, 3, size).astype(np.int32)}


def build(**fields):
    keras.utils.set_random_seed(0)
    return tfdl.build_model("cnn", input_shape=(8, 8, 1), num_classes=3, filters=(3,), units=5, **fields)


def step(model, optimizer, data, world=None):
    trainer = Trainer(model, optimizer, TASK, world or SingleWorld())
    trainer.run(iter(tf.data.Dataset.from_tensors(data)), 1)
    return trainer


@pytest.mark.parametrize("fields", [{}, {"l2": 0.1}, {"batch_normalization": False}, {"dropout": 0.5}], ids=str)
def test_a_step_is_keras_s(fields):
    data = batch()
    ours = build(**fields)
    step(ours, tfdl.build_optimizer("sgd", learning_rate=0.5, momentum=0), data)
    theirs = build(**fields)  # with the same seed, also of dropout
    theirs.compile(keras.optimizers.SGD(0.5), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    theirs.train_on_batch(data["image"] / np.float32(255), data["label"])
    before = build(**fields)
    for mine, other, old in zip(ours.weights, theirs.weights, before.weights, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5, err_msg=mine.path)
        assert mine.path == "hidden/bias" or not np.array_equal(mine, old), mine.path


def test_running_sums_are_taken_once():
    model = build()
    data = batch()
    trainer = step(model, tfdl.build_optimizer("sgd", learning_rate=1e-12), data)
    logits = build()(data["image"] / np.float32(255), training=True)
    losses, _ = TASK.losses(data, logits)
    loss, right, weight, extra = trainer.take_sums(4.0)
    assert loss == pytest.approx(float(np.sum(losses)), rel=1e-5)
    assert right == (np.argmax(logits, 1) == data["label"]).sum()
    assert (weight, extra) == (9, 4)
    assert trainer.take_sums().tolist() == [0, 0, 0]


def test_several_steps_trace_once():
    trainer = Trainer(build(), tfdl.build_optimizer(), TASK, SingleWorld())
    batches = iter(tf.data.Dataset.from_tensor_slices(batch(64)).batch(7).repeat())
    for count in (3, 5, 1):
        trainer.run(batches, count)
    assert int(trainer.optimizer.iterations) == 9
    assert trainer._run_steps.experimental_get_tracing_count() == 1


def test_clipping_comes_after_the_mean():
    """The clip norm is tiny: whatever the batch's size, the step has this length."""
    model = build(batch_normalization=False)
    before = model.get_weights()
    step(model, tfdl.build_optimizer("sgd", learning_rate=1.0, momentum=0, clip_norm=0.01), batch(200))
    changes = [new - old for new, old in zip(model.get_weights(), before, strict=True)]
    length = np.sqrt(sum(np.square(change).sum() for change in changes))
    assert length == pytest.approx(0.01, rel=1e-3)


@pytest.fixture
def eagerly():
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("ends", [[0, 5, 9], [0, 1, 4, 9]])
def test_ranks_step_as_one_process_on_the_whole_batch(ranks, ends):
    data = batch()

    def optimizer():
        return tfdl.build_optimizer("sgd", learning_rate=0.5, clip_norm=0.3)

    alone = build(l2=0.1)
    step(alone, optimizer(), data)
    parts = [slice(*part) for part in itertools.pairwise(ends)]
    models = [build(l2=0.1) for _ in parts]
    world = ranks(len(parts))

    def run(rank):
        mine = {name: values[parts[rank]] for name, values in data.items()}
        return step(models[rank], optimizer(), mine, world).take_sums()

    sums = world.run(run)
    assert all(found[2] == 9 for found in sums)
    for model in models:
        for mine, other in zip(model.weights, alone.weights, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5, err_msg=mine.path)
        for mine, other in zip(model.weights, models[0].weights, strict=True):
            np.testing.assert_array_equal(mine, other)
