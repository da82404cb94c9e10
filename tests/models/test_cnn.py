"""The convolutional network: sizes, names, errors, learning, saving."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.config import CNNConfig
from tfdl.errors import UserError
from tfdl.optimizers import Adam


def test_images_to_logits():
    model = tfdl.build_model("cnn", input_shape=(24, 20, 3), num_classes=7)
    assert model.input_shape == (None, 24, 20, 3)
    assert model.output_shape == (None, 7)
    assert model(np.zeros((2, 24, 20, 3), "float32")).shape == (2, 7)


def test_logits_are_not_probabilities():
    model = tfdl.build_model("cnn", input_shape=(8, 8, 1), num_classes=4)
    images = np.random.default_rng(0).random((8, 8, 8, 1), "float32")
    before = np.asarray(model(images))
    last = model.get_layer("logits")
    last.bias.assign(last.bias - 7)  # softmax ignores a term that all classes share
    np.testing.assert_allclose(np.asarray(model(images)), before - 7, atol=1e-5)


def test_each_block_halves_height_and_width():
    model = tfdl.build_model("cnn", input_shape=(24, 24, 3), num_classes=10)
    assert model.get_layer("pool_1").output.shape == (None, 12, 12, 32)
    assert model.get_layer("pool_2").output.shape == (None, 6, 6, 64)


def test_the_article_s_network_has_315722_parameters():
    model = tfdl.build_model("cnn", input_shape=(24, 24, 3), num_classes=10, batch_normalization=False)
    conv_1 = 3 * 3 * 3 * 32 + 32
    conv_2 = 3 * 3 * 32 * 64 + 64
    hidden = 6 * 6 * 64 * 128 + 128
    logits = 128 * 10 + 10
    assert conv_1 + conv_2 + hidden + logits == 315_722
    assert model.count_params() == 315_722


def test_normalization_replaces_the_biases():
    model = tfdl.build_model("cnn", input_shape=(24, 24, 3), num_classes=10)
    assert model.count_params() == 315_722 - (32 + 64) + 4 * (32 + 64)


def test_variables_have_explicit_paths():
    model = tfdl.build_model("cnn", input_shape=(8, 8, 1), num_classes=10, dropout=0.5)
    normalization = ["gamma", "beta", "moving_mean", "moving_variance"]
    assert [weight.path for weight in model.weights] == [
        "conv_1/kernel",
        *(f"batch_normalization_1/{name}" for name in normalization),
        "conv_2/kernel",
        *(f"batch_normalization_2/{name}" for name in normalization),
        "hidden/kernel",
        "hidden/bias",
        "logits/kernel",
        "logits/bias",
    ]


def test_two_models_in_one_process_have_the_same_paths():
    first = tfdl.build_model("cnn", input_shape=(8, 8, 1), num_classes=3)
    second = tfdl.build_model("cnn", input_shape=(8, 8, 1), num_classes=3)
    assert [weight.path for weight in first.weights] == [weight.path for weight in second.weights]


def test_fields_reach_the_layers():
    model = tfdl.build_model(
        CNNConfig(filters=(5,), kernel_size=5, units=6, dropout=0.5, momentum=0.75, synchronized=False, l2=0.01),
        input_shape=(8, 8, 1),
        num_classes=3,
    )
    assert model.get_layer("conv_1").kernel.shape == (5, 5, 1, 5)
    assert model.get_layer("hidden").kernel.shape == (4 * 4 * 5, 6)
    assert model.get_layer("dropout").rate == 0.5
    normalization = model.get_layer("batch_normalization_1")
    assert normalization.momentum == 0.75
    assert normalization.synchronized is False
    sum_of_squares = 0.0
    for name in ("conv_1", "hidden", "logits"):
        kernel = np.asarray(model.get_layer(name).kernel, "float64")
        sum_of_squares += np.square(kernel).sum()
    assert float(tf.add_n(model.losses)) == pytest.approx(0.01 * sum_of_squares, rel=1e-5)


def test_it_overfits_one_small_batch():
    keras.utils.set_random_seed(0)
    model = tfdl.build_model("cnn", input_shape=(8, 8, 1), num_classes=10, filters=(16,), units=32)
    random = np.random.default_rng(0)
    images = random.random((16, 8, 8, 1), "float32")
    labels = random.integers(0, 10, 16)
    model.compile(Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    history = model.fit(images, labels, batch_size=16, epochs=60, verbose=0).history
    assert history["loss"][0] > 1.5
    assert history["loss"][-1] < 0.01
    assert history["accuracy"][-1] == 1


def test_it_saves_and_loads_as_a_keras_file(tmp_path):
    model = tfdl.build_model("cnn", input_shape=(8, 8, 1), num_classes=10, filters=(4,))
    images = np.random.default_rng(0).random((5, 8, 8, 1), "float32")
    model(images, training=True)  # moving statistics other than the initial ones
    model.save(tmp_path / "cnn.keras")
    loaded = keras.saving.load_model(tmp_path / "cnn.keras")
    assert type(loaded.get_layer("batch_normalization_1")) is type(model.get_layer("batch_normalization_1"))
    np.testing.assert_array_equal(loaded(images), model(images))


def test_it_is_rebuilt_from_its_own_configuration():
    model = tfdl.build_model("cnn", input_shape=(8, 8, 1), num_classes=10, filters=(4,), momentum=0.5)
    copy = keras.Model.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    images = np.random.default_rng(0).random((5, 8, 8, 1), "float32")
    np.testing.assert_array_equal(copy(images, training=True), model(images, training=True))
    np.testing.assert_array_equal(copy(images), model(images))


@pytest.mark.parametrize("shape", [(3, 24, 1), (24, 3, 1)])
def test_an_image_too_small_for_the_pools(shape):
    with pytest.raises(UserError) as raised:
        tfdl.build_model("cnn", input_shape=shape, num_classes=10)
    assert str(raised.value) == (
        f"images of {shape[0]}x{shape[1]} are too small for 2 pools, which need at least 4x4; give fewer model.filters"
        " or a larger dataset.image_size (--image-size)"
    )


def test_the_smallest_image_that_fits():
    model = tfdl.build_model("cnn", input_shape=(4, 4, 1), num_classes=2)
    logits = model(np.zeros((1, 4, 4, 1)))
    assert logits.shape == (1, 2)


@pytest.mark.parametrize("shape", [(24, 24), (24, None, 3), (24, 24, 0)])
def test_a_shape_that_is_not_an_image(shape):
    with pytest.raises(UserError, match=r"input_shape=\(24, .*\), expected \(height, width, channels\) such as"):
        tfdl.build_model("cnn", input_shape=shape, num_classes=10)


def test_no_classes():
    with pytest.raises(UserError, match="num_classes=0, expected a whole number of at least 1"):
        tfdl.build_model("cnn", input_shape=(24, 24, 3), num_classes=0)


def test_an_unknown_model():
    with pytest.raises(UserError, match=r"unknown model 'cnm', expected one of cnn, .*Did you mean 'cnn'\?"):
        tfdl.build_model("cnm", input_shape=(24, 24, 3), num_classes=10)


def test_an_unknown_field():
    with pytest.raises(UserError, match=r"unknown key 'model\.unts', .*Did you mean 'units'\?"):
        tfdl.build_model("cnn", input_shape=(24, 24, 3), num_classes=10, unts=3)
