"""Updates of low rank: at first they change nothing, they are Keras's formula, and they can be merged."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.layers import Dense
from tfdl.models.low_rank import is_low_rank

SIZES = {"hidden_dim": 16, "num_heads": 2, "num_layers": 2}
TOKENS = np.arange(1, 11).reshape(2, 5)


def built(**fields):
    keras.utils.set_random_seed(0)
    return tfdl.build_model("transformer", vocab_size=32, **SIZES, **fields)


def test_at_first_the_answers_stay_as_they_are():
    plain, updated = built(), built(lora_rank=3)
    values = {variable.path: variable for variable in plain.weights}
    for variable in updated.weights:
        if not is_low_rank(variable.path):
            variable.assign(values[variable.path])
    np.testing.assert_array_equal(updated(TOKENS), plain(TOKENS))
    names = [variable.path for variable in updated.weights if is_low_rank(variable.path)]
    assert len(names) == 2 * 2 * 4  # of each block: the kernels of attention and of the feed-forward layer
    assert not [name for name in names if "logits" in name or "embedding" in name]


def test_an_untied_head_gets_none():
    model = built(lora_rank=3, tie_embeddings=False)
    assert not [variable.path for variable in model.weights if is_low_rank(variable.path) and "logits" in variable.path]


@pytest.mark.parametrize("alpha", [None, 8.0])
def test_a_layer_and_its_gradients_are_keras_s(alpha):
    keras.utils.set_random_seed(0)
    inputs = tf.random.normal([4, 6])
    layers = [Dense(5), keras.layers.Dense(5)]
    for layer in layers:
        layer.build((None, 6))
        layer.enable_lora(2, lora_alpha=alpha, b_initializer="normal")
    for variable, other in zip(*(layer.weights for layer in layers), strict=True):
        other.assign(variable)
    results = []
    for layer in layers:
        with tf.GradientTape() as tape:
            outputs = layer(inputs)
            loss = tf.reduce_sum(outputs**2)
        gradients = tape.gradient(loss, [variable.value for variable in layer.trainable_variables])
        results.append([outputs, *gradients])
    assert len(results[0]) == 4  # outputs, bias, and the two small kernels
    for received, expected in zip(*results, strict=True):
        np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-6)


def test_a_layer_in_float64_by_hand():
    keras.utils.set_random_seed(0)
    layer = Dense(5, dtype="float64")
    layer.build((None, 6))
    layer.enable_lora(2, lora_alpha=8.0, b_initializer="normal")
    assert {variable.dtype for variable in layer.weights} == {"float64"}
    inputs = np.random.default_rng(0).normal(size=(4, 6))
    kernel = np.asarray(layer._kernel) + 4.0 * np.asarray(layer.lora_kernel_a) @ np.asarray(layer.lora_kernel_b)
    np.testing.assert_allclose(layer(inputs), inputs @ kernel, rtol=1e-12)
