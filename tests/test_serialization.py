"""Every registered layer, model, optimizer and schedule survives a round trip through JSON with the same outputs."""

import importlib
import json
import pkgutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl import layers, models, optimizers
from tfdl.layers.padding import MaskedMean, PaddingMask
from tfdl.layers.patch_embedding import ClassToken, PatchEmbedding
from tfdl.models.rnn_classifier import FinalStates, ReversedText, TextLengths
from tfdl.optimizers import SGD, Adam, AdamW, schedules
from tfdl.serialization import from_json, provider_modules, to_json

B, T, D = 2, 6, 8
RANDOM = np.random.default_rng(0)
VECTORS = tf.constant(RANDOM.normal(size=(B, T, D)), tf.float32)
HEADS = tf.constant(RANDOM.normal(size=(B, 2, T, 4)), tf.float32)
IMAGES = tf.constant(RANDOM.normal(size=(B, 8, 8, 3)), tf.float32)
TOKENS = tf.constant([[5, 2, 4, 1, 3, 0], [3, 1, 0, 0, 0, 0]])
LENGTHS = tf.constant([5, 2])
SMALL = {"num_layers": 1, "hidden_dim": D, "num_heads": 2}


def transformer_block():
    return layers.TransformerBlock(
        layers.SelfAttention(2, is_causal=True, rotary_base=100.0),
        layers.FeedForward(12, "swiglu", use_bias=False),
        layers.CrossAttention(2, num_key_value_heads=1),
        normalization="rms",
        norm_first=False,
        epsilon=1e-4,
    )


# Constructors with arguments other than the defaults, and call arguments.
EXAMPLES = [
    (lambda: layers.BatchNormalization(momentum=0.5, epsilon=0.1, center=False, synchronized=True), (IMAGES,)),
    (lambda: layers.CrossAttention(2, num_key_value_heads=1, head_dim=3, use_bias=False), (VECTORS, VECTORS)),
    (lambda: layers.Dense(3, "relu", kernel_regularizer=keras.regularizers.L2(0.1)), (VECTORS,)),
    (lambda: layers.FeedForward(12, "gelu_exact"), (VECTORS,)),
    (lambda: layers.GRU(3, recurrent_dropout=0.5, seed=1), (VECTORS,)),
    (lambda: layers.LSTM(3, forget_bias=0.5), (VECTORS,)),
    (lambda: layers.LayerNormalization(0.1, center=False), (VECTORS,)),
    (lambda: layers.PaddedShortcut(5, strides=2), (IMAGES,)),
    (lambda: layers.PositionEmbedding(7), (VECTORS,)),
    (lambda: layers.RMSNormalization(0.1), (VECTORS,)),
    (lambda: layers.RotaryEmbedding(100.0), (HEADS,)),
    (lambda: layers.SegmentEmbedding(2, separator_id=3), (tf.zeros([2, 6, D]), TOKENS)),
    (lambda: layers.SelfAttention(2, num_key_value_heads=1, is_causal=True, rotary_base=100.0), (VECTORS,)),
    (lambda: layers.SimpleRNN(3, bias_initializer="ones"), (VECTORS,)),
    (lambda: layers.SinusoidalPositionEmbedding(), (VECTORS,)),
    (lambda: layers.TokenEmbedding(9, D), (TOKENS,)),
    (transformer_block, (VECTORS, VECTORS)),
    (lambda: ClassToken(), (VECTORS,)),
    (lambda: FinalStates(), (VECTORS, LENGTHS)),
    (lambda: MaskedMean(), (VECTORS, TOKENS > 0)),
    (lambda: PaddingMask(), (TOKENS,)),
    (lambda: PatchEmbedding(4, D), (IMAGES,)),
    (lambda: ReversedText(), (VECTORS, LENGTHS)),
    (lambda: TextLengths(), (TOKENS,)),
    (lambda: tfdl.build_model("rnn", vocab_size=9, units=D, tie_embeddings=True, cell="gru"), (TOKENS,)),
    (lambda: tfdl.build_model("rnn", vocab_size=9, units=D, num_classes=3, bidirectional=True), (TOKENS,)),
    (lambda: tfdl.build_model("transformer", vocab_size=9, positions="rotary", **SMALL), (TOKENS,)),
    (
        lambda: tfdl.build_model("transformer", architecture="encoder", vocab_size=9, num_classes=3, **SMALL),
        (TOKENS,),
    ),
    (
        lambda: tfdl.build_model(
            "transformer", architecture="encoder", patch_size=4, input_shape=(8, 8, 3), num_classes=3, **SMALL
        ),
        (IMAGES,),
    ),
    (
        lambda: tfdl.build_model("transformer", architecture="encoder-decoder", vocab_size=9, **SMALL),
        ({"source": TOKENS, "target": TOKENS},),
    ),
]
OPTIMIZERS = [
    lambda: Adam(0.1, beta_1=0.5, amsgrad=True, global_clipnorm=1.0),
    lambda: AdamW(schedules.Cosine(0.1, 10, 3), weight_decay=0.1, use_ema=True, ema_momentum=0.5),
    lambda: SGD(0.1, momentum=0.5, nesterov=True, gradient_accumulation_steps=2),
]
SCHEDULES = [
    schedules.Constant(0.1, 3),
    schedules.Linear(0.1, 10, 3, 0.2),
    schedules.Cosine(0.1, 10, 3, 0.2),
    schedules.Step(0.1, 10, 3, (5,), 0.5),
    schedules.InverseSquareRoot(0.1, 3),
    schedules.OneCycle(0.1, 10, 3),
]


def again(thing):
    """The object after a round trip through JSON."""
    return keras.saving.deserialize_keras_object(json.loads(json.dumps(keras.saving.serialize_keras_object(thing))))


def test_nothing_that_is_registered_is_left_out():
    for package in (layers, models, optimizers):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    registered = {kind for name, kind in keras.saving.get_custom_objects().items() if name.startswith("tfdl>")}
    made = [make() for make, _ in EXAMPLES] + [make() for make in OPTIMIZERS] + SCHEDULES
    assert {kind for kind in registered if kind.__module__.startswith("tfdl.")} == {type(thing) for thing in made}


@pytest.mark.parametrize(("make", "inputs"), EXAMPLES, ids=lambda value: None if isinstance(value, tuple) else "")
def test_a_layer_or_model_comes_back_and_answers_alike(make, inputs):
    original = make()
    original(*inputs)
    for weight in original.weights:
        if weight.dtype == "float32":  # initial zeros and ones would hide differences
            weight.assign(RANDOM.normal(size=weight.shape))
    expected = tf.nest.flatten(original(*inputs))
    restored = again(original)
    assert type(restored) is type(original)
    assert restored.get_config() == original.get_config()
    restored(*inputs)
    restored.set_weights(original.get_weights())
    for mine, other in zip(tf.nest.flatten(restored(*inputs)), expected, strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("make", [*OPTIMIZERS, *(lambda kept=kept: kept for kept in SCHEDULES)])
def test_an_optimizer_or_schedule_comes_back(make):
    original = make()
    restored = again(original)
    assert type(restored) is type(original)
    assert restored.get_config() == original.get_config()


@keras.saving.register_keras_serializable(package="test_serialization")
def huber_of_difference(target, output):
    return keras.losses.huber(target, output)


@pytest.mark.parametrize("function", [huber_of_difference, keras.losses.mean_squared_error, keras.activations.relu])
def test_a_registered_function_and_one_of_keras_come_back(function):
    written = json.loads(json.dumps(to_json([function], "the metrics")))
    assert from_json(written, "the metrics") == [function]
    expected = set() if function.__module__.startswith("keras") else {function.__module__}
    assert provider_modules(written) == expected


@pytest.mark.parametrize(
    ("module", "name"), [("builtins", "eval"), ("os", "system"), ("os", "mean_squared_error"), ("builtins", ["relu"])]
)
def test_no_other_function_is_read(module, name):
    written = {"module": module, "class_name": "function", "config": name, "registered_name": "function"}
    with pytest.raises(tfdl.UserError, match=r"uses the function .*, which is not registered"):
        from_json(written, "the loss")


def test_numpy_s_numbers_become_python_s():
    schedule = keras.optimizers.schedules.ExponentialDecay(np.float64(0.1), np.int64(10), np.float32(0.5))
    config = to_json(schedule, "the schedule")["config"]
    values = [config[name] for name in ("initial_learning_rate", "decay_steps", "decay_rate")]
    assert [type(value) for value in values] == [float, int, float]
    assert values == [0.1, 10, 0.5]


def test_what_is_read_can_be_read_again():
    """Keras takes the layers out of the configuration of a model within a model."""
    inner = keras.Sequential([keras.layers.Input([2]), keras.layers.Dense(3)])
    functional = keras.Model(inner.inputs, inner.outputs)
    outer_input = keras.Input([2])
    written = to_json(keras.Model(outer_input, functional(outer_input)), "the model")
    before = json.dumps(written)
    for _ in range(2):
        assert from_json(written, "the model").count_params() == 9
    assert json.dumps(written) == before
