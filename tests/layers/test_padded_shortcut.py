"""PaddedShortcut: values by hand, and bad input."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdl.layers import PaddedShortcut


def test_hand_computed_stride_of_two_and_two_new_channels():
    image = np.arange(1.0, 10.0, dtype="float32").reshape(1, 3, 3, 1)  # rows 1 2 3, 4 5 6, 7 8 9
    outputs = np.asarray(PaddedShortcut(3, strides=2)(image))
    np.testing.assert_array_equal(outputs[..., 0], [[[1, 3], [7, 9]]])
    np.testing.assert_array_equal(outputs[..., 1:], np.zeros((1, 2, 2, 2)))


def test_old_channels_come_first_and_keep_their_order():
    image = np.random.default_rng(0).random((2, 4, 6, 3), "float32")
    outputs = np.asarray(PaddedShortcut(5, strides=2)(image))
    assert outputs.shape == (2, 2, 3, 5)
    np.testing.assert_array_equal(outputs[..., :3], image[:, ::2, ::2])


def test_the_same_shape_is_the_identity():
    image = np.random.default_rng(0).random((2, 4, 5, 3), "float32")
    np.testing.assert_array_equal(PaddedShortcut(3)(image), image)


def test_pixels_are_the_centers_of_a_padded_convolution():
    image = np.random.default_rng(0).random((1, 7, 8, 2), "float32")
    # A kernel that copies the pixel at its center, and makes two channels of zeros.
    kernel = np.zeros((3, 3, 2, 4), "float32")
    kernel[1, 1] = np.eye(2, 4)
    convolved = tf.nn.conv2d(image, kernel, 2, [(0, 0), (1, 1), (1, 1), (0, 0)])
    np.testing.assert_array_equal(PaddedShortcut(4, strides=2)(image), convolved)


def test_gradients_reach_only_the_kept_pixels():
    image = tf.ones([1, 4, 4, 2])
    with tf.GradientTape() as tape:
        tape.watch(image)
        total = tf.reduce_sum(3 * PaddedShortcut(4, strides=2)(image))
    expected = np.zeros((1, 4, 4, 2))
    expected[:, ::2, ::2] = 3
    np.testing.assert_array_equal(tape.gradient(total, image), expected)


@pytest.mark.parametrize("shape", [(None, 7, 8, 2), (None, None, None, 2), (3, 1, 1, 2)])
def test_compute_output_shape_is_the_shape_of_the_outputs(shape):
    layer = PaddedShortcut(5, strides=2)
    assert layer(keras.Input(batch_shape=shape)).shape == layer.compute_output_shape(shape)
    known_shape = tuple(size or 9 for size in shape)
    assert layer(np.zeros(known_shape)).shape == layer.compute_output_shape(known_shape)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_it_keeps_the_dtype(dtype):
    layer = PaddedShortcut(4, dtype=dtype)
    assert layer(np.ones((1, 2, 2, 3))).dtype == layer.compute_dtype


def test_it_compiles():
    layer = PaddedShortcut(4, strides=2)
    image = np.random.default_rng(0).random((1, 5, 5, 3), "float32")
    compiled = tf.function(layer, jit_compile=True)
    np.testing.assert_array_equal(compiled(image), layer(image))


def test_it_comes_back_from_its_configuration():
    layer = PaddedShortcut(7, strides=3, name="mine")
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert isinstance(copy, PaddedShortcut)
    assert copy.get_config() == layer.get_config()


@pytest.mark.parametrize(("filters", "strides"), [(0, 1), (4, 0)])
def test_sizes_that_cannot_be(filters, strides):
    with pytest.raises(ValueError, match=f"PaddedShortcut filters={filters}, strides={strides}, expected at least 1"):
        PaddedShortcut(filters, strides)


@pytest.mark.parametrize("shape", [(2, 4, 4, 5), (2, 4, 4), (2, 4, 4, None)])
def test_inputs_that_do_not_fit(shape):
    with pytest.raises(ValueError, match=r"got inputs of shape \(2, 4, .*\), expected .* at most filters=4 channels"):
        PaddedShortcut(4).build(shape)
