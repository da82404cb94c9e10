"""Gradients added up over pieces of a batch: the same step as with the whole batch, one reduction, one update."""

import itertools
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import tfdl
from tfdl.data.pipeline import WEIGHT
from tfdl.distributed import SingleWorld
from tfdl.errors import UserError
from tfdl.tasks import ImageClassification
from tfdl.training import Trainer
from tfdl.training.micro_batches import cut

TASK = ImageClassification((8, 8, 1), ("a", "b", "c"), resized=False)


def batch(size):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (size, 8, 8, 1), np.uint8)
    labels = random.integers(0, 3, size).astype(np.int32)
    return {"image": images, "label": labels, WEIGHT: np.ones(size, np.float32)}


def build():
    keras.utils.set_random_seed(0)
    with tfdl.models.compute_precision("float64"):
        return tfdl.build_model(
            "cnn", input_shape=(8, 8, 1), num_classes=3, filters=(3,), units=5, batch_normalization=False, l2=0.1
        )


def stepped(data, pieces, world=None, model=None):
    model = model or build()
    optimizer = tfdl.build_optimizer("adam", learning_rate=0.1, clip_norm=0.5)
    trainer = Trainer(model, optimizer, TASK, world or SingleWorld(), accumulation_steps=pieces)
    trainer.run(iter(tf.data.Dataset.from_tensors(data).repeat(3)), 3)
    return model, trainer.take_sums()


@settings(max_examples=40)
@given(st.integers(1, 40), st.integers(1, 9))
def test_pieces_hold_every_row_once_and_none_is_empty(rows, pieces):
    data = {"row": tf.range(rows), WEIGHT: tf.ones([rows])}
    filled, bounds = cut(data, pieces)
    slices = [slice(begin, end) for begin, end in itertools.pairwise(bounds.numpy())]
    rows_of_pieces = [filled["row"][piece].numpy().tolist() for piece in slices]
    weights_of_pieces = [filled[WEIGHT][piece].numpy().tolist() for piece in slices]
    assert len(rows_of_pieces) == pieces
    assert all(rows_of_pieces)
    all_rows = itertools.chain.from_iterable(rows_of_pieces)
    all_weights = itertools.chain.from_iterable(weights_of_pieces)
    assert [row for row, weight in zip(all_rows, all_weights, strict=True) if weight] == list(range(rows))
    assert all(len(set(weights)) == 1 for weights in weights_of_pieces)  # a stand-in has its own piece
    if rows % pieces == 0:
        assert {len(piece) for piece in rows_of_pieces} == {rows // pieces}


@pytest.mark.parametrize(("size", "pieces"), [(12, 4), (11, 3), (2, 5)])
def test_pieces_step_as_the_whole_batch(size, pieces):
    whole, expected_sums = stepped(batch(size), 1)
    accumulated, sums = stepped(batch(size), pieces)
    np.testing.assert_allclose(sums, expected_sums, rtol=1e-12)
    for mine, other, start in zip(accumulated.weights, whole.weights, build().weights, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-12, err_msg=mine.path)
        assert not np.array_equal(mine, start), mine.path


@pytest.mark.parametrize("synchronized", [False, True])
def test_stand_ins_count_in_no_batch_statistic(synchronized):
    """Two rows in five pieces: three pieces are copies of weight 0."""

    def normalized():
        keras.utils.set_random_seed(0)
        with tfdl.models.compute_precision("float64"):
            return tfdl.build_model(
                "cnn", input_shape=(8, 8, 1), num_classes=3, filters=(3,), units=5, synchronized=synchronized
            )

    exact, _ = stepped(batch(2), 2, model=normalized())
    filled, _ = stepped(batch(2), 5, model=normalized())
    for mine, other, start in zip(filled.weights, exact.weights, normalized().weights, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-12, err_msg=mine.path)
        assert "moving" not in mine.path or not np.array_equal(mine, start), mine.path


class Watched(keras.layers.Layer):
    """Counts the pieces whose forward pass is done and whose backward pass is not."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()
        self.alive = 0
        self.most = 0

    def call(self, inputs):
        @tf.custom_gradient
        def run(inputs):
            return self._counting(inputs, 1), lambda upstream: self._counting(upstream, -1)

        return run(inputs)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    def _counting(self, tensor, change):
        def count(value):
            with self.lock:
                self.alive += change
                self.most = max(self.most, self.alive)
            return value

        # Stateless, as other layers are: TensorFlow runs stateful operations in their order in any case.
        return tf.ensure_shape(tf.numpy_function(count, [tensor], tensor.dtype, stateful=False), tensor.shape)


def test_one_piece_at_a_time_is_in_memory():
    inputs = keras.Input((8, 8, 1))
    watched = Watched()
    hidden = watched(keras.layers.Dense(4)(keras.layers.Flatten()(inputs)))
    stepped(batch(24), 12, model=keras.Model(inputs, keras.layers.Dense(3)(hidden)))
    assert (watched.most, watched.alive) == (1, 0)


@pytest.fixture
def eagerly():
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.usefixtures("eagerly")
def test_over_ranks_there_is_one_reduction_a_step(ranks, monkeypatch):
    data = batch(13)
    world = ranks(2)
    parts = [slice(0, 7), slice(7, 13)]
    reductions = []
    plain = world.all_reduce
    monkeypatch.setattr(world, "all_reduce", lambda tensor: reductions.append(world.rank) or plain(tensor))
    mine = [{name: value[part] for name, value in data.items()} for part in parts]
    models = [build(), build()]
    world.run(lambda rank: stepped(mine[rank], 3, world, models[rank]))
    assert reductions.count(0) == reductions.count(1) == 3 + 1  # three steps, and the sums taken once
    alone, _ = stepped(data, 1)
    for first, second, third in zip(models[0].weights, models[1].weights, alone.weights, strict=True):
        np.testing.assert_array_equal(first, second)
        np.testing.assert_allclose(first, third, rtol=1e-9, atol=1e-12, err_msg=first.path)


class Idle(keras.layers.Layer):
    """A layer with a weight that its outputs do not depend on."""

    def build(self, _):
        self.idle = self.add_weight(shape=(3, 3), name="idle", initializer="ones")

    def call(self, inputs):
        return inputs


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("pieces", [1, 3])
def test_a_variable_without_a_gradient_is_left_alone(pieces):
    inputs = keras.Input((8, 8, 1))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(Idle()(inputs))))
    optimizer = tfdl.optimizers.SGD(0.1, weight_decay=0.5)  # an update would change the weight
    trainer = Trainer(model, optimizer, TASK, SingleWorld(), accumulation_steps=pieces)
    trainer.run(iter(tf.data.Dataset.from_tensors(batch(6))), 1)
    assert np.array_equal(model.layers[1].idle, np.ones((3, 3)))


def test_a_run_equals_one_of_larger_batches(tiny, tmp_path):
    """The order of samples counts global batches, however they are cut."""
    plain = {"model.batch_normalization": False, "model.dropout": 0}
    whole = tfdl.train(tiny({**plain, "batch_size": 120}), tmp_path / "whole").read_summary()
    pieces = tfdl.train(tiny({**plain, "batch_size": 40, "accumulation_steps": 3}), tmp_path / "pieces").read_summary()
    assert pieces["steps"] == whole["steps"]
    assert (pieces["batch_size"], pieces["global_batch_size"]) == (40, 120)
    assert pieces["test"]["loss"] == pytest.approx(whole["test"]["loss"], rel=1e-3)
    assert pieces["weights_sha256"] != whole["weights_sha256"]  # the sums are rounded differently


def test_a_resumed_run_has_the_same_weights(tiny, tmp_path):
    fields = {"batch_size": 40, "accumulation_steps": 3}
    straight = tfdl.train(tiny(fields), tmp_path / "straight")
    half = tfdl.train(tiny({**fields, "epochs": 1}), tmp_path / "half")
    whole = tfdl.train(tiny(fields), half.path, resume=True)
    assert whole.read_summary()["weights_sha256"] == straight.read_summary()["weights_sha256"]


def test_a_step_of_more_samples_than_there_are(tiny, tmp_path):
    with pytest.raises(UserError, match=r"batch_size=128, 100 times a step, but 'digits' has 1437 .* at most 14"):
        tfdl.train(tiny(accumulation_steps=100), tmp_path / "run")
