import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdl.tasks import cross_entropy


def case(*shape, classes=7, dtype="float64"):
    draws = np.random.default_rng(0)
    return draws.integers(0, classes, shape), tf.constant(draws.normal(size=(*shape, classes)) * 3, dtype)


def test_by_hand():
    """Two classes, logits (ln 3, 0): p = (3/4, 1/4); the target (0.9, 0.1) for smoothing 0.2."""
    loss = cross_entropy(tf.constant([0]), tf.constant([[np.log(3), 0.0]], tf.float64), 0.2)
    np.testing.assert_allclose(loss, [-0.9 * np.log(3 / 4) - 0.1 * np.log(1 / 4)], rtol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("shape", [(5,), (2, 3)])
def test_against_keras_with_one_hot_targets(smoothing, shape):
    labels, logits = case(*shape)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        mine = cross_entropy(tf.constant(labels), logits, smoothing)
        total = tf.reduce_sum(mine)
    slope = tape.gradient(total, logits)
    assert mine.shape == shape
    with tf.GradientTape() as tape:
        tape.watch(logits)
        target = tf.one_hot(labels, 7, dtype=tf.float64)
        theirs = keras.losses.categorical_crossentropy(target, logits, True, smoothing)
        total = tf.reduce_sum(theirs)
    np.testing.assert_allclose(mine, theirs, rtol=1e-9)
    np.testing.assert_allclose(slope, tape.gradient(total, logits), atol=1e-9)


def test_against_pytorch():
    torch = pytest.importorskip("torch")
    labels, logits = case(4)
    theirs = torch.nn.functional.cross_entropy(
        torch.tensor(np.asarray(logits)), torch.tensor(labels), reduction="none", label_smoothing=0.1
    )
    np.testing.assert_allclose(cross_entropy(tf.constant(labels), logits, 0.1), theirs, rtol=1e-12)


def test_the_least_value_is_the_targets_entropy():
    target = np.array([0.9 + 0.1 / 4, 0.1 / 4, 0.1 / 4, 0.1 / 4])
    loss = cross_entropy(tf.constant([0]), tf.constant([np.log(target)]), 0.1)
    np.testing.assert_allclose(loss, [-(target * np.log(target)).sum()], rtol=1e-12)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_sixteen_bit_logits_are_summed_in_float32(dtype):
    labels, logits = case(3, classes=1000, dtype=dtype)
    loss = cross_entropy(tf.constant(labels), logits, 0.1)
    assert loss.dtype == tf.float32
    np.testing.assert_allclose(loss, cross_entropy(tf.constant(labels), tf.cast(logits, tf.float64), 0.1), rtol=1e-5)


def test_compiled_by_xla():
    labels, logits = case(6)
    run = tf.function(lambda z: cross_entropy(tf.constant(labels), z, 0.1), jit_compile=True)
    np.testing.assert_allclose(run(logits), cross_entropy(tf.constant(labels), logits, 0.1), rtol=1e-9)
