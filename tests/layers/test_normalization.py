"""LayerNormalization and RMSNormalization: values by hand, and Keras's layers, forward and backward."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdl.layers import LayerNormalization, RMSNormalization

KERAS = {LayerNormalization: keras.layers.LayerNormalization, RMSNormalization: keras.layers.RMSNormalization}
BOTH = pytest.mark.parametrize("kind", KERAS)


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(1, 2, shape).astype("float32")


def pair(kind, shape, **arguments):
    """Our layer and Keras's with the same random weights."""
    ours = kind(**arguments)
    theirs = KERAS[kind](**arguments)
    for layer in (ours, theirs):
        layer.build(shape)
        layer.set_weights([values(*weight.shape, seed=3 + i) for i, weight in enumerate(layer.weights)])
    return ours, theirs


def outputs_and_gradients(layer, inputs):
    """The outputs, and the gradients of a weighted sum of them with respect to inputs and trainable weights."""
    inputs = tf.convert_to_tensor(inputs)
    upstream = values(*inputs.shape, seed=9)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs)
        objective = tf.reduce_sum(tf.cast(outputs, tf.float32) * upstream)
    sources = [inputs, *(weight.value for weight in layer.trainable_variables)]
    gradients = tape.gradient(objective, sources)
    return [np.asarray(value, "float64") for value in (outputs, *gradients)]


def test_hand_computed():
    # Mean 2, variance 1 and epsilon 3: deviations of -1 and 1 are halved.
    layer = LayerNormalization(epsilon=3.0)
    layer.build((None, 2))
    layer.set_weights([np.array([2.0, 4.0]), np.array([10.0, 20.0])])
    np.testing.assert_allclose(layer(np.array([[1.0, 3.0]])), [[9, 22]], rtol=1e-6)


def test_hand_computed_rms():
    layer = RMSNormalization(epsilon=11.0)  # the mean square of 3 and 4 is 12.5, and of 1 and 7 it is 25
    layer.build((None, 2))
    layer.set_weights([np.array([1.0, 2.0])])
    np.testing.assert_allclose(layer(np.array([[1.0, 7.0]])), [[1 / 6, 14 / 6]], rtol=1e-6)


@BOTH
@pytest.mark.parametrize("shape", [(6, 5), (2, 3, 8), (2, 1, 3, 4)])
def test_as_keras(kind, shape):
    ours, theirs = pair(kind, shape)
    actual = outputs_and_gradients(ours, values(*shape))
    expected = outputs_and_gradients(theirs, values(*shape))
    assert len(actual) == len(expected)
    for value, reference in zip(actual, expected, strict=True):
        np.testing.assert_allclose(value, reference, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("switches", [{"center": False}, {"scale": False}, {"center": False, "scale": False}])
def test_as_keras_without_beta_or_gamma(switches):
    ours, theirs = pair(LayerNormalization, (2, 3, 8), **switches)
    actual = outputs_and_gradients(ours, values(2, 3, 8))
    expected = outputs_and_gradients(theirs, values(2, 3, 8))
    num_weights = 2 - len(switches)  # each switch turns one off
    assert len(actual) == len(expected) == 2 + num_weights  # also the outputs, and the gradient of the inputs
    for value, reference in zip(actual, expected, strict=True):
        np.testing.assert_allclose(value, reference, rtol=1e-4, atol=1e-5)


@BOTH
@pytest.mark.parametrize(("dtype", "tolerance"), [("mixed_float16", 5e-3), ("mixed_bfloat16", 4e-2)])
def test_16_bits_have_moments_in_float32(kind, dtype, tolerance):
    ours, _ = pair(kind, (4, 64), dtype=dtype)
    exact, _ = pair(kind, (4, 64))
    inputs = tf.cast(300 * values(4, 64), ours.compute_dtype)  # the squares overflow float16
    assert ours(inputs).dtype == ours.compute_dtype
    actual = outputs_and_gradients(ours, inputs)
    expected = outputs_and_gradients(exact, tf.cast(inputs, tf.float32))
    for value, reference in zip(actual, expected, strict=True):
        np.testing.assert_allclose(value, reference, rtol=tolerance, atol=tolerance * np.abs(reference).max())


@BOTH
def test_float64_is_computed_in_float64(kind):
    layer, _ = pair(kind, (3, 7), dtype="float64")
    inputs = np.random.default_rng(0).normal(size=(3, 7))
    if kind is LayerNormalization:
        gamma, beta = (np.asarray(weight) for weight in layer.weights)
        deviation = inputs - inputs.mean(-1, keepdims=True)
    else:  # RMS normalization subtracts no mean and adds no beta
        (gamma,) = (np.asarray(weight) for weight in layer.weights)
        beta = 0.0
        deviation = inputs
    unit = deviation / np.sqrt((deviation**2).mean(-1, keepdims=True) + layer.epsilon)
    np.testing.assert_allclose(layer(inputs), unit * gamma + beta, rtol=1e-12, atol=1e-12)


def test_a_small_variance_about_a_large_mean():
    # In float32 the squares of 1e4 are accurate only to 8, so a mean of squares could not resolve a variance of 1.
    inputs = np.random.default_rng(0).normal(1e4, 1, (4, 256)).astype("float32")
    exact = inputs.astype("float64")
    expected = (exact - exact.mean(-1, keepdims=True)) / np.sqrt(exact.var(-1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(LayerNormalization(epsilon=1e-5)(inputs), expected, atol=2e-3)


@BOTH
def test_second_derivatives(kind):
    # Keras's second derivatives are not a reference: tf.nn.moments treats the mean as a constant. That is right only
    # for the first derivative.
    ours, _ = pair(kind, (2, 5))

    def formula(x):
        if kind is LayerNormalization:
            gamma, beta = ours.weights
            deviation = x - tf.reduce_mean(x, -1, keepdims=True)
        else:
            (gamma,) = ours.weights
            beta = 0.0
            deviation = x
        unit = deviation / tf.sqrt(tf.reduce_mean(deviation * deviation, -1, keepdims=True) + ours.epsilon)
        return unit * gamma + beta

    results = []
    for layer in (ours, formula):
        inputs = tf.constant(values(2, 5))
        with tf.GradientTape() as outer:
            outer.watch(inputs)
            with tf.GradientTape() as inner:
                inner.watch(inputs)
                objective = tf.reduce_sum(layer(inputs) ** 3)
            slope = inner.gradient(objective, inputs)
            weighted_slope = tf.reduce_sum(slope * values(2, 5, seed=4))
        results.append(outer.gradient(weighted_slope, inputs))
    actual, expected = results
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


@BOTH
def test_it_compiles(kind):
    layer, _ = pair(kind, (2, 3, 8))

    @tf.function(jit_compile=True)
    def compiled(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs)
        return outputs, tape.gradient(outputs, inputs)

    inputs = tf.constant(values(2, 3, 8))
    actual = compiled(inputs)
    expected = compiled.python_function(inputs)
    for value, reference in zip(actual, expected, strict=True):
        np.testing.assert_allclose(value, reference, rtol=1e-4, atol=1e-5)


@BOTH
def test_it_saves_and_loads_as_a_keras_file(kind, tmp_path):
    model = keras.Sequential([keras.Input((None, 4)), kind(epsilon=0.5, name="norm")])
    model.layers[0].set_weights([values(*weight.shape) for weight in model.weights])
    assert model.output_shape == (None, None, 4)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[0]) is kind
    assert loaded.layers[0].get_config() == model.layers[0].get_config()
    np.testing.assert_array_equal(loaded(values(2, 3, 4)), model(values(2, 3, 4)))


@BOTH
@pytest.mark.parametrize("shape", [(None, None), (4,)])
def test_inputs_that_do_not_fit(kind, shape):
    message = rf"{kind.__name__} got inputs of shape .*, expected \(..., dim\) with a known dim"
    with pytest.raises(ValueError, match=message):
        kind().build(shape)
