"""Loss scaling for float16: exact where nothing overflows, and a skipped step is skipped by every rank."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.distributed import DynamicLossScale, SingleWorld
from tfdl.distributed.loss_scale import all_finite
from tfdl.errors import RunError
from tfdl.tasks import ImageClassification
from tfdl.training import Trainer

TASK = ImageClassification((8, 8, 1), ("a", "b", "c"), resized=False)


def batch(size=9):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (size, 8, 8, 1), np.uint8)
    return {"image": images, "label": random.integers(0, 3, size).astype(np.int32)}


def build(batch_normalization=False):
    """Without synchronized statistics, which would carry one rank's infinity to the others before the reduction."""
    keras.utils.set_random_seed(0)
    shape = {"input_shape": (8, 8, 1), "num_classes": 3}
    return tfdl.build_model("cnn", **shape, filters=(3,), units=5, batch_normalization=batch_normalization)


def trained(scale, steps=1, data=None, world=None, kind=Trainer, model=None, task=TASK):
    trainer = kind(model or build(), tfdl.build_optimizer(), task, world or SingleWorld(), loss_scale=scale)
    trainer.run(iter(tf.data.Dataset.from_tensors(data or batch()).repeat()), steps)
    return trainer


def test_finite():
    good = tf.constant([1.0, -3e38, 3e38])
    bad = [tf.constant([1.0, value]) for value in (np.inf, -np.inf, np.nan)]
    assert all_finite([good, None, good])
    assert not any(all_finite([good, other]) for other in bad)


def test_good_steps_double_the_scale_and_a_bad_one_halves_it():
    scale = DynamicLossScale(8.0, growth_steps=3)
    seen = []
    for finite in (True, True, True, True, False, True, True, True):
        scale.adjust(tf.constant(finite))
        seen.append(float(scale.scale))
    assert seen == [8, 8, 16, 16, 8, 8, 8, 16]
    assert int(scale.skipped_steps) == 1


def test_the_scale_does_not_grow_past_its_largest():
    """Infinity halved is infinity: no step would ever be finite again."""
    scale = DynamicLossScale(2.0**22, growth_steps=1)
    for _ in range(200):
        scale.adjust(tf.constant(True))
    assert float(scale.scale) == 2**24
    scale.adjust(tf.constant(False))
    assert float(scale.scale) == 2**23


@pytest.fixture
def as_written():
    """Graphs whose products are computed in the order in which they are written.

    TensorFlow's optimizer reorders them: for the same formula, another result in the last bit on some processors.
    """
    names = ("arithmetic_optimization", "constant_folding")
    tf.config.optimizer.set_experimental_options(dict.fromkeys(names, False))
    yield
    tf.config.optimizer.set_experimental_options(dict.fromkeys(names, True))


@pytest.mark.usefixtures("as_written")
def test_a_power_of_two_changes_no_bit():
    plain = trained(None, steps=4)
    scaled = trained(DynamicLossScale(1024.0), steps=4)
    for mine, other in zip(scaled.model.weights, plain.model.weights, strict=True):
        np.testing.assert_array_equal(mine, other, err_msg=mine.path)


def test_an_overflow_is_skipped_and_the_next_step_is_not():
    scale = DynamicLossScale(3e38)  # times any loss above 1.1 it is infinite
    trainer = trained(scale, steps=1)
    for mine, start in zip(trainer.model.trainable_weights, build().trainable_weights, strict=True):
        np.testing.assert_array_equal(mine, start)
    assert int(trainer.optimizer.iterations) == 0
    assert float(scale.scale) == np.float32(1.5e38)
    scale.scale.assign(1024.0)
    trainer.run(iter(tf.data.Dataset.from_tensors(batch())), 1)
    assert int(trainer.optimizer.iterations) == 1
    assert int(scale.skipped_steps) == 1


def test_a_skipped_step_leaves_batch_statistics_alone():
    start = build(batch_normalization=True)
    good = build(batch_normalization=True)
    trained(DynamicLossScale(1024.0), model=good)
    skipped = trained(DynamicLossScale(3e38), model=build(batch_normalization=True))
    assert int(skipped.loss_scale.skipped_steps) == 1
    for mine, other, before in zip(skipped.model.weights, good.weights, start.weights, strict=True):
        np.testing.assert_array_equal(mine, before, err_msg=mine.path)
        if "moving" in other.path:  # the control: any other step moves them
            assert not np.array_equal(other, before), other.path


class Overflowing(ImageClassification):
    """The losses of the first forward pass are NaN, as if its activations overflowed in float16."""

    def __init__(self):
        super().__init__((8, 8, 1), ("a", "b", "c"), resized=False)
        self.passes = tf.Variable(0)

    def losses(self, batch, logits):
        losses, weights = super().losses(batch, logits)
        return losses * tf.where(tf.equal(self.passes.assign_add(1), 1), np.nan, 1.0), weights


def test_a_forward_pass_that_overflows_counts_in_no_metric():
    trainer = trained(DynamicLossScale(1024.0), steps=3, task=Overflowing())
    loss, _, weight = trainer.take_sums()
    assert (int(trainer.loss_scale.skipped_steps), int(trainer.optimizer.iterations), weight) == (1, 2, 2 * 9)
    assert loss == pytest.approx(trained(None, steps=2).take_sums()[0], rel=1e-6)


def test_a_loss_of_nan_ends_no_run_in_float16(tiny, tmp_path, monkeypatch):
    """It ends a run in float32, which has no loss scale that could be lowered."""
    plain = ImageClassification.losses

    def losses(task, batch, logits):
        values, weights = plain(task, batch, logits)
        return values * tf.where(tf.equal(passes.assign_add(1), 1), np.nan, 1.0), weights

    monkeypatch.setattr(ImageClassification, "losses", losses)
    passes = tf.Variable(0)
    fields = {"steps_per_execution": 1, "epochs": 1}
    run = tfdl.train(tiny(precision="mixed_float16", **fields), tmp_path / "float16")
    *steps, epoch = map(json.loads, run.metrics_path.open())
    assert [row["step"] for row in steps] == list(range(2, 13))
    assert epoch["skipped_steps"] == 1
    passes = tf.Variable(0)
    with pytest.raises(RunError, match="step 1 was not made"):
        tfdl.train(tiny(**fields), tmp_path / "float32")


class Exploding(ImageClassification):
    """Losses that are finite, and infinite once they are scaled."""

    def losses(self, batch, logits):
        losses, weights = super().losses(batch, logits)
        return losses * 1e37, weights


EXPLODING = Exploding((8, 8, 1), ("a", "b", "c"), resized=False)


class SeparateDecision(Trainer):
    """The control: each rank decides by its own gradients, as Keras's loss-scaling optimizer does."""

    def _forward_backward(self, data):
        gradients, *rest = super()._forward_backward(data)
        self.mine = all_finite(gradients)
        return [tf.where(tf.math.is_finite(gradient), gradient, 0.0) for gradient in gradients], *rest

    def _update(self, gradients, _):
        if self.mine:
            self.optimizer.apply(self.loss_scale.unscaled(gradients), self.model.trainable_variables)
        self.loss_scale.adjust(self.mine)
        return self.mine


@pytest.fixture
def eagerly():
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize(("kind", "are_equal"), [(Trainer, True), (SeparateDecision, False)])
def test_ranks_skip_a_step_together(ranks, kind, are_equal):
    """Only rank 1's loss is infinite."""
    world = ranks(2)
    models = [build(), build()]

    def run(rank):
        task = EXPLODING if rank == 1 else TASK
        return trained(DynamicLossScale(1024.0), world=world, kind=kind, model=models[rank], task=task)

    first, second = world.run(run)
    pairs = zip(first.model.trainable_weights, second.model.trainable_weights, strict=True)
    assert all(np.array_equal(mine, other) for mine, other in pairs) is are_equal
    if kind is Trainer:
        assert [int(trainer.optimizer.iterations) for trainer in (first, second)] == [0, 0]
        assert [float(trainer.loss_scale.scale) for trainer in (first, second)] == [512, 512]


def test_a_run_in_float16_reports_the_loss_scale(tiny, tmp_path):
    run = tfdl.train(tiny(precision="mixed_float16"), tmp_path / "run")
    epochs = [row for row in map(json.loads, run.metrics_path.open()) if row["kind"] == "epoch"]
    assert all(row["loss_scale"] > 0 and row["skipped_steps"] >= 0 for row in epochs)


def test_gradients_that_are_finite_at_no_scale_end_the_run(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(DynamicLossScale, "unscaled", lambda _, gradients: [g * np.nan for g in gradients])
    # From 2**15 / 128 down to 2**-15, in the middle of the second epoch.
    expected = r"not finite at any loss scale down to 3\.05176e-05 \(23 of 23 steps skipped\); train with --precision"
    with pytest.raises(RunError, match=expected):
        tfdl.train(tiny(precision="mixed_float16", steps_per_execution=1), tmp_path / "run")
