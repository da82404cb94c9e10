"""BatchNormalization with masks of every shape that Keras takes, on one rank and over ranks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.layers.test_batch_normalization import assert_ranks_equal_whole_batch, assert_same_as_keras, pair
from tfdl.layers import BatchNormalization

# The shape of the inputs, the channel axis, and the shape of a mask with one axis less. Every channel has values that
# count: if none does, the layers differ, as documented.
CASES = [
    ((6, 5, 4), 1, (6, 5)),
    ((6, 5, 4), -2, (6, 5)),
    ((6, 5, 4), 1, (6, 1)),
    ((6, 5, 4), -1, (6, 5)),
    ((6, 5, 4), -1, (1, 5)),
    ((3, 5, 4, 2), 1, (3, 5, 4)),
    ((3, 5, 4, 2), 1, (3, 1, 4)),
    ((3, 5, 4, 2), 2, (3, 5, 4)),
    ((3, 5, 4, 2), -1, (3, 1, 4)),
    ((6, 5), -1, (6,)),
]


def random_mask(shape):
    return np.random.default_rng(sum(shape)).random(shape) < 0.6


def inputs_of(shape):
    return np.random.default_rng(0).normal(3, 2, shape).astype("float32")


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("shape", "axis", "mask_shape"), CASES)
def test_a_mask_one_axis_short_is_as_in_keras(shape, axis, mask_shape, training):
    assert_same_as_keras(*pair(shape, axis), inputs_of(shape), training=training, mask=random_mask(mask_shape))


def test_each_channel_has_its_own_mask_by_hand():
    """Channel 0 counts (1, 3) of sample 0 only: mean 2 and variance 1. Channel 1 counts nothing."""
    layer = BatchNormalization(axis=1, momentum=0.0, epsilon=0.0)
    inputs = np.array([[[1, 3], [5, 5]], [[9, 7], [5, 5]]], "float32")
    outputs = layer(inputs, training=True, mask=np.array([[True, False], [False, False]]))
    np.testing.assert_allclose(outputs[:, 0], [[-1, 1], [7, 5]], rtol=1e-6)
    np.testing.assert_allclose(layer.moving_mean, [2, 0])  # a channel without a value keeps its statistics
    np.testing.assert_allclose(layer.moving_variance, [1, 1])


@pytest.mark.parametrize("dtype", ["int32", "float32", "bool"])
def test_whatever_is_not_zero_counts(dtype):
    mask = np.array([0, 2, 1, 0]).astype(dtype) if dtype != "float32" else np.array([0, 0.5, 1, 0], "float32")
    assert_same_as_keras(*pair((4, 3)), inputs_of((4, 3)), training=True, mask=mask)


@pytest.mark.parametrize(("axis", "shape"), [(-1, (4, 2, 3)), (1, (4, 3, 2))])
def test_masked_values_that_are_no_numbers_do_not_count(axis, shape):
    inputs = inputs_of(shape)
    mask = np.array([[True, True, False], [False, True, True], [True, False, True], [True, True, True]])
    mask = mask[:, :2] if axis == -1 else mask
    values = np.where(mask[:, :, np.newaxis], inputs, np.nan).astype("float32")
    layer, other = pair(shape, axis)
    outputs = np.asarray(layer(values, training=True, mask=mask))
    expected = np.asarray(other(values, training=True, mask=mask))
    assert np.isfinite(outputs[mask]).all()
    np.testing.assert_allclose(outputs[mask], expected[mask], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.moving_mean, other.moving_mean, rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, other.moving_variance, rtol=1e-5)


def test_a_mask_of_the_shape_of_the_inputs():
    """Keras takes no such mask. Each channel has the statistics of its own values."""
    inputs = inputs_of((50, 2))
    mask = random_mask((50, 2))
    layer = BatchNormalization(momentum=0.0)
    layer(inputs, training=True, mask=mask)
    for channel in range(2):
        values = inputs[mask[:, channel], channel].astype("float64")
        np.testing.assert_allclose(layer.moving_mean[channel], values.mean(), rtol=1e-5)
        np.testing.assert_allclose(layer.moving_variance[channel], values.var(), rtol=1e-5)


@pytest.mark.parametrize("layer_class", [BatchNormalization, keras.layers.BatchNormalization])
@pytest.mark.parametrize("run_eagerly", [True, False])
def test_padding_that_a_model_masks(layer_class, run_eagerly):
    """Of each channel, rows (1, 3) and (2, 6) count, the others are padding: mean (1.5, 4.5), variance (.25, 2.25)."""
    samples = np.array([[[1, 3], [-9, -9], [2, 6], [-9, -9], [-9, -9]]] * 4, "float32")
    layer = layer_class(momentum=0.0)
    model = keras.Sequential([keras.Input((None, 2)), keras.layers.Masking(-9), layer])
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=run_eagerly)
    model.fit(samples, samples, batch_size=4, verbose=0)
    np.testing.assert_allclose(layer.moving_mean, [1.5, 4.5], rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, [0.25, 2.25], rtol=1e-5)


def test_a_mask_of_channels_in_a_graph_of_unknown_sizes():
    layer, other = pair((None, 5, 4), 1)
    inputs = inputs_of((6, 5, 4))
    mask = random_mask((6, 5))
    signature = [tf.TensorSpec((None, 5, None)), tf.TensorSpec((None, None), tf.bool)]
    run = tf.function(lambda values, mask: layer(values, training=True, mask=mask), input_signature=signature)
    expected = other(inputs, training=True, mask=mask)
    np.testing.assert_allclose(run(inputs, mask), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, other.moving_variance, rtol=1e-5)


@pytest.mark.parametrize("ends", [[0, 5, 8], [0, 8, 8], [0, 2, 6, 8]])
def test_ranks_with_masks_of_channels_equal_the_whole_batch(ranks, ends):
    assert_ranks_equal_whole_batch(ranks, (8, 5, 4), ends, mask=random_mask((8, 5)), axis=1)
