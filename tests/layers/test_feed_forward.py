"""FeedForward and its activations: values by hand, TensorFlow and PyTorch, precisions, configuration."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdl.layers import FeedForward
from tfdl.layers.gelu import gelu, gelu_exact

RANGE = np.concatenate([np.linspace(-12, 12, 481), [-1e4, -40.0, 0.0, 40.0, 1e4]]).astype("float32")
# Our function, and whether it is the approximation.
GELUS = {"tanh": (gelu, True), "erf": (gelu_exact, False)}


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def slopes(function, inputs):
    """Values and first two derivatives."""
    inputs = tf.constant(inputs)
    with tf.GradientTape() as outer:
        outer.watch(inputs)
        with tf.GradientTape() as inner:
            inner.watch(inputs)
            outputs = function(inputs)
        first = inner.gradient(outputs, inputs)
    return [np.asarray(value, "float64") for value in (outputs, first, outer.gradient(first, inputs))]


# The Gaussian error linear unit


@pytest.mark.parametrize(("function", "approximate"), GELUS.values(), ids=GELUS)
def test_gelu_and_its_derivatives_as_tensorflow_s(function, approximate):
    inputs = RANGE[np.abs(RANGE) < 20].astype("float64")
    expected = slopes(lambda x: tf.nn.gelu(x, approximate=approximate), inputs)
    for value, reference in zip(slopes(function, inputs), expected, strict=True):
        # TensorFlow uses float32 constants, also in float64.
        np.testing.assert_allclose(value, reference, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("function", "approximate"), GELUS.values(), ids=GELUS)
def test_gelu_as_pytorch_s(function, approximate):
    torch = pytest.importorskip("torch")
    inputs = torch.tensor(RANGE, requires_grad=True)
    torch_name = "tanh" if approximate else "none"
    outputs = torch.nn.functional.gelu(inputs, approximate=torch_name)
    outputs.sum().backward()
    value, slope, _ = slopes(function, RANGE)
    np.testing.assert_allclose(value, outputs.detach(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(slope, inputs.grad, rtol=1e-5, atol=1e-5)


def test_gelu_by_hand():
    one = tf.constant([1.0])
    np.testing.assert_allclose(gelu_exact(one), [(1 + math.erf(math.sqrt(0.5))) / 2], rtol=1e-6)
    inner = math.sqrt(2 / math.pi) * (1 + 0.044715)
    np.testing.assert_allclose(gelu(one), [(1 + math.tanh(inner)) / 2], rtol=1e-6)


@pytest.mark.parametrize(("function", "approximate"), GELUS.values(), ids=GELUS)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_16_bits_are_rounded_once(function, approximate, dtype):
    inputs = tf.cast(RANGE[np.abs(RANGE) < 4], dtype)
    exact, exact_slope, _ = slopes(lambda x: tf.nn.gelu(x, approximate=approximate), np.asarray(inputs, "float64"))
    unit = {"bfloat16": 2**-8, "float16": 2**-11}[dtype]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = function(inputs)
    slope = tape.gradient(outputs, inputs)
    for value, reference in [(outputs, exact), (slope, exact_slope)]:
        assert value.dtype == dtype
        np.testing.assert_allclose(np.asarray(value, "float64"), reference, rtol=1.01 * unit, atol=1e-5)


@pytest.mark.parametrize(("function", "approximate"), GELUS.values(), ids=GELUS)
def test_gelu_compiles(function, approximate):
    @tf.function(jit_compile=True)
    def compiled(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = function(inputs)
        return outputs, tape.gradient(outputs, inputs)

    inputs = RANGE[:481]
    expected, expected_slope, _ = slopes(lambda x: tf.nn.gelu(x, approximate=approximate), inputs)
    outputs, slope = compiled(tf.constant(inputs))
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(slope, expected_slope, rtol=1e-4, atol=1e-5)


# The layer

FORMULAS = {
    "relu": lambda x: np.maximum(x, 0),
    "gelu": lambda x: np.asarray(tf.nn.gelu(x, approximate=True)),
    "gelu_exact": lambda x: np.asarray(tf.nn.gelu(x, approximate=False)),
    "swiglu": lambda x: x[..., :6] / (1 + np.exp(-x[..., :6])) * x[..., 6:],
}


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("activation", FORMULAS)
def test_the_formula(activation, use_bias):
    layer = FeedForward(6, activation, use_bias)
    layer.build((None, None, 4))
    weights = [values(*weight.shape, seed=i) for i, weight in enumerate(layer.weights)]
    layer.set_weights(weights)
    up_width = 12 if activation == "swiglu" else 6  # SwiGLU's kernel has a gate beside the value
    assert layer.weights[0].shape == (4, up_width)
    if use_bias:
        up, up_bias, down, down_bias = weights
    else:
        up, down = weights
        up_bias = down_bias = 0
    inputs = values(2, 3, 4, seed=7)
    expected = FORMULAS[activation](inputs @ up + up_bias) @ down + down_bias
    np.testing.assert_allclose(layer(inputs), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("activation", FORMULAS)
@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_it_keeps_the_precision(activation, dtype):
    layer = FeedForward(6, activation, dtype=dtype)
    outputs = layer(values(2, 3, 4))
    assert (outputs.dtype, outputs.shape) == (layer.compute_dtype, (2, 3, 4))
    assert {weight.dtype for weight in layer.weights} == {layer.variable_dtype}


def test_gate_and_value_are_initialized_as_separate_kernels():
    layer = FeedForward(30, "swiglu")
    layer.build((None, 10))
    gate, up = np.split(np.asarray(layer.up.kernel), 2, axis=1)
    limit = np.sqrt(6 / 40)  # Glorot and Bengio, 2010
    assert 0.9 * limit < np.abs(gate).max() <= limit
    assert (gate != up).all()


def test_it_comes_back_from_its_configuration():
    layer = FeedForward(6, "swiglu", use_bias=False, kernel_initializer="ones", name="mine")
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert isinstance(copy, FeedForward)
    assert copy.get_config() == layer.get_config()


@pytest.mark.parametrize("shape", [(None, None, 4), (2, None, 4), (None, 4)])
def test_static_shapes_are_kept(shape):
    layer = FeedForward(6)
    assert layer(keras.Input(batch_shape=shape)).shape == shape
    graph = tf.function(layer).get_concrete_function(tf.TensorSpec(shape, tf.float32))
    assert tuple(graph.structured_outputs.shape) == shape


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((6, "gelo"), "activation='gelo', expected one of gelu, gelu_exact, relu, swiglu"),
        ((0,), "intermediate_dim=0"),
    ],
)
def test_what_does_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        FeedForward(*arguments)
