"""Weights of classes in the training loss."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.utils.class_weight import compute_class_weight

import tfdl
from tfdl.data.augmentation.plan import MIXED_LABEL, SHARE
from tfdl.data.limited import limited
from tfdl.data.sources import ArraySource, ShuffledSource
from tfdl.distributed import SingleWorld
from tfdl.errors import UserError
from tfdl.tasks import ImageClassification
from tfdl.tasks.class_weights import class_counts, class_weights
from tfdl.training.opening import weigh_classes

NAMES = ("cat", "dog", "emu")
LABELS = np.array([0, 0, 0, 1, 2, 2, 0, 0], np.int32)


def test_balanced_weights_are_those_of_scikit_learn():
    counts = np.bincount(LABELS)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    np.testing.assert_allclose(class_weights(("balanced",), NAMES, counts), expected)
    np.testing.assert_allclose(expected, [8 / 15, 8 / 3, 8 / 6])


def test_a_class_without_samples():
    assert class_weights(("balanced",), NAMES, np.array([1, 0, 3])).tolist() == [2, 0, pytest.approx(2 / 3)]


def test_weights_by_name():
    assert class_weights(("dog=2.5", "cat=0"), NAMES, np.ones(3)).tolist() == [0, 2.5, 1]
    assert class_weights(("a=b=3",), ("a=b", "c"), np.ones(2)).tolist() == [3, 1]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (("dgo=2",), r"class_weight has 'dgo=2', expected balanced alone, .* such as cat=2\. Did you mean 'dog'"),
        (("dog",), "class_weight has 'dog', expected balanced alone"),
        (("balanced", "dog=2"), "class_weight has 'balanced', expected balanced alone"),
        (("dog=2", "dog=3"), "class_weight names 'dog' twice"),
        (("dog=-1",), "class_weight has 'dog=-1', expected a weight of at least 0"),
        (("dog=nan",), "class_weight has 'dog=nan', expected a weight of at least 0"),
        (("dog=much",), "class_weight has 'dog=much', expected a weight of at least 0"),
        (("cat=0", "emu=0", "dog=0"), "class_weight gives every sample the weight 0"),
    ],
)
def test_weights_that_cannot_be(chosen, message):
    with pytest.raises(UserError, match=message):
        class_weights(chosen, NAMES, np.ones(3))


class OnlyReads(ShuffledSource):
    """Samples whose labels are not in memory."""

    num_examples = len(LABELS)

    def read(self, indices):
        return {"image": tf.zeros([tf.size(indices), 2, 2, 1]), "label": tf.gather(LABELS, indices)}


@pytest.mark.parametrize("source", [ArraySource({"label": LABELS}), OnlyReads()], ids=["memory", "read"])
def test_counts(source):
    assert class_counts(source, 4).tolist() == [5, 1, 2, 0]
    assert class_counts(limited(source, 4), 4).tolist() == [3, 0, 1, 0]  # samples 0, 2, 4 and 6


def task_with(weights):
    task = ImageClassification((2, 2, 1), NAMES, resized=False)
    task.class_weights = np.array(weights)
    return task


def test_the_loss_is_the_weighted_mean():
    logits = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    task = task_with([1.0, 4.0, 0.5])
    losses, weights = task.losses({"label": tf.constant(LABELS), "image": tf.zeros([8, 1])}, tf.constant(logits))
    own = np.array([1.0, 4.0, 0.5])[LABELS]
    reference = keras.losses.sparse_categorical_crossentropy(LABELS, logits, from_logits=True)
    np.testing.assert_allclose(weights, own)
    np.testing.assert_allclose(np.sum(losses * weights), np.sum(own * np.array(reference)), rtol=1e-6)


def test_of_a_mixed_image_each_label_has_the_weight_of_its_class():
    logits = np.random.default_rng(1).normal(size=(8, 3)).astype(np.float32)
    partners = np.roll(LABELS, 3)
    share = np.linspace(0, 1, 8, dtype=np.float32)
    by_class = np.array([1.0, 4.0, 0.0])
    batch = {"label": tf.constant(LABELS), MIXED_LABEL: tf.constant(partners), SHARE: tf.constant(share)}
    losses, weights = task_with(by_class).losses(batch, tf.constant(logits))
    one = np.array(keras.losses.sparse_categorical_crossentropy(LABELS, logits, from_logits=True))
    other = np.array(keras.losses.sparse_categorical_crossentropy(partners, logits, from_logits=True))
    expected = share * by_class[LABELS] * one + (1 - share) * by_class[partners] * other
    np.testing.assert_allclose(losses * weights, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(weights, share * by_class[LABELS] + (1 - share) * by_class[partners], rtol=1e-6)


def test_a_run_weighs_its_classes(tiny, tmp_path):
    """All weight on one class: the model answers nothing else."""
    notes = []

    class Watch(tfdl.training.Callback):
        def on_start(self, plan):
            notes.extend(plan.notes)

    others = tuple(f"{digit}=0" for digit in range(10) if digit != 3)
    run = tfdl.train(tiny(class_weight=others), tmp_path / "run", callbacks=[Watch()])
    assert "class weights from 0 (0) to 1 (3) in the training loss and its metrics" in notes
    loaded = tfdl.load(run)
    answers = loaded.model.predict(np.random.default_rng(0).uniform(size=(20, 8, 8, 1)), verbose=0)
    assert (answers.argmax(-1) == 3).all()


def test_a_task_with_its_own_losses():
    class Own(ImageClassification):
        def losses(self, batch, outputs):
            return super().losses(batch, outputs)

    task = Own((2, 2, 1), NAMES, resized=False)
    with pytest.raises(UserError, match="class_weight=balanced, expected nothing: Own computes its losses itself"):
        weigh_classes(("balanced",), task, {"train": ArraySource({"label": LABELS})}, SingleWorld())


def test_a_task_without_classes(tiny_language, tmp_path):
    with pytest.raises(UserError, match="class_weight=balanced, expected nothing: language-modeling has no classes"):
        tfdl.train(tiny_language("rnn", class_weight="balanced"), tmp_path / "run")
