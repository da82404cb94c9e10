"""The gradient of every variable in 16-bit models is near that in float64: no sum of many rows loses accuracy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.models import compute_precision

VOCABULARY = 50
CLASSES = 10
SMALL = {"num_layers": 2, "hidden_dim": 64, "num_heads": 4}
TEXT = {**SMALL, "vocab_size": VOCABULARY, "sequence_length": 128}
LLAMA = {"positions": "rotary", "normalization": "rms", "activation": "swiglu", "num_key_value_heads": 2}
MODELS = {
    "gpt": lambda: tfdl.build_model("transformer", **TEXT),
    "llama": lambda: tfdl.build_model("transformer", **TEXT, **LLAMA),
    "bert": lambda: tfdl.build_model("transformer", architecture="encoder", num_classes=CLASSES, **TEXT),
    "vit": lambda: tfdl.build_model(
        "transformer", architecture="encoder", patch_size=4, input_shape=(32, 32, 3), num_classes=CLASSES, **SMALL
    ),
    "lstm": lambda: tfdl.build_model("rnn", vocab_size=VOCABULARY, units=64, num_layers=2),
    "gru": lambda: tfdl.build_model("rnn", vocab_size=VOCABULARY, units=64, num_layers=2, cell="gru"),
}


def batch(family):
    """32 sequences of 128 tokens, or 64 images: the gradients of biases are sums of thousands of rows."""
    random = np.random.default_rng(0)
    if family == "vit":
        images = random.random((64, 32, 32, 3))
        return images, random.integers(0, CLASSES, 64)
    tokens = random.integers(1, VOCABULARY, (32, 129))
    inputs = tokens[:, :-1]
    if family == "bert":
        return inputs, random.integers(0, CLASSES, 32)
    return inputs, tokens[:, 1:]


def gradients(family, precision, weights=None):
    """Builds a model and returns it with its gradients by path.

    Args:
        family: A key of MODELS.
        precision: The name of a Keras dtype policy.
        weights: The values that the model gets; None keeps the initial ones.
    """
    keras.utils.set_random_seed(0)
    with compute_precision(precision):
        model = MODELS[family]()
    if weights is not None:
        model.set_weights(weights)
    inputs, targets = batch(family)
    scale = 1024.0 / targets.size  # like a loss scale, keeps the smallest gradients above the smallest float16
    with tf.GradientTape() as tape:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, model(inputs, training=True))
        loss = tf.reduce_sum(losses) * tf.cast(scale, losses.dtype)
    values = tape.gradient(loss, model.trainable_variables)
    by_path = {}
    for variable, value in zip(model.trainable_variables, values, strict=True):
        dense = tf.convert_to_tensor(value)  # the gradient of an embedding's table has only the rows that were used
        by_path[variable.path] = np.asarray(dense, "float64")
    return model, by_path


def worst_error(family, precision):
    """The largest relative error of a variable's gradient in norm, against float64 with the same weights."""
    exact_model, exact = gradients(family, "float64")
    _, rounded = gradients(family, precision, exact_model.get_weights())
    assert rounded.keys() == exact.keys()
    errors = []
    for path, gradient in exact.items():
        error = np.linalg.norm(rounded[path] - gradient) / np.linalg.norm(gradient)
        errors.append((error, path))
    return max(errors)


@pytest.mark.parametrize("family", MODELS)
@pytest.mark.parametrize(("precision", "tolerance"), [("mixed_bfloat16", 0.03), ("mixed_float16", 0.004)])
def test_gradients_stay_accurate(family, precision, tolerance):
    # bfloat16 rounds by up to 1/256, float16 by 1/2048; several roundings follow each other.
    error, path = worst_error(family, precision)
    assert error < tolerance, path


def test_the_gradients_of_keras_s_dense_layer_lose_accuracy(monkeypatch):
    """The control: with Keras's layer, the same comparison finds a large error."""
    monkeypatch.setattr("tfdl.layers.dense.Dense.call", keras.layers.Dense.call)
    error, path = worst_error("bert", "mixed_bfloat16")
    assert path.endswith("bias")
    assert error > 0.3


def test_dense_is_keras_s_in_float32():
    inputs = np.random.default_rng(0).normal(size=(3, 5, 7)).astype("float32")
    ours = tfdl.layers.Dense(4, "tanh")
    theirs = keras.layers.Dense(4, "tanh")
    ours.build(inputs.shape)
    theirs.build(inputs.shape)
    theirs.set_weights(ours.get_weights())
    np.testing.assert_array_equal(ours(inputs), theirs(inputs))
    copy = keras.layers.deserialize(keras.layers.serialize(ours))
    assert copy.get_config() == ours.get_config()
