"""Learned, sinusoidal and rotary positions, and segments: values by hand, explicit positions, and bad input."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdl.layers import PositionEmbedding, RotaryEmbedding, SegmentEmbedding, SinusoidalPositionEmbedding
from tfdl.layers.rotary_rates import rotary_rates

ADDED = {
    "learned": lambda **arguments: PositionEmbedding(9, **arguments),
    "waves": SinusoidalPositionEmbedding,
}
BOTH = pytest.mark.parametrize("make", ADDED.values(), ids=ADDED)


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


# Added to the tokens


def test_learned_rows_are_added():
    layer = PositionEmbedding(3)
    layer.build((None, None, 2))
    layer.table.assign([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    np.testing.assert_array_equal(layer(np.zeros((1, 2, 2))), [[[1, 2], [3, 4]]])
    np.testing.assert_array_equal(layer(np.ones((1, 2, 2)), positions=[2, 0]), [[[6, 7], [2, 3]]])


def test_hand_computed_waves():
    waves = np.asarray(SinusoidalPositionEmbedding()(np.zeros((1, 3, 4))))
    # D = 4: rates 1 and 10000^(-1/2) = 0.01, with sine and cosine alternating.
    expected = [[np.sin(t), np.cos(t), np.sin(t / 100), np.cos(t / 100)] for t in range(3)]
    np.testing.assert_allclose(waves[0], expected, rtol=1e-6)


@BOTH
def test_explicit_positions(make):
    layer = make()
    inputs = values(2, 6, 4)
    whole = np.asarray(layer(inputs))
    np.testing.assert_allclose(layer(inputs[:, 2:5], positions=tf.range(2, 5)), whole[:, 2:5], rtol=1e-6)
    # Each row of the batch has other positions.
    outputs = layer(inputs[:, 2:4], positions=tf.constant([[2, 3], [0, 5]]))
    np.testing.assert_allclose(outputs[0], whole[0, 2:4], rtol=1e-6)
    added = whole - inputs
    np.testing.assert_allclose(outputs[1], inputs[1, 2:4] + added[1, [0, 5]], rtol=1e-5, atol=1e-6)


@BOTH
@pytest.mark.parametrize("shape", [(None, None, 4), (2, None, 4), (None, 5, 4)])
def test_static_shapes_are_kept(make, shape):
    layer = make()
    assert layer(keras.Input(batch_shape=shape)).shape == shape
    graph = tf.function(layer).get_concrete_function(tf.TensorSpec(shape, tf.float32))
    assert tuple(graph.structured_outputs.shape) == shape
    np.testing.assert_allclose(graph(tf.zeros([2, 5, 4])), layer(np.zeros((2, 5, 4))), rtol=1e-6)


@BOTH
@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_it_keeps_the_precision(make, dtype):
    layer = make(dtype=dtype)
    assert layer(np.zeros((1, 3, 4))).dtype == layer.compute_dtype
    assert {weight.dtype for weight in layer.weights} <= {layer.variable_dtype}


def test_far_waves_are_right_in_bfloat16():
    # bfloat16 cannot represent odd integers above 256.
    waves = SinusoidalPositionEmbedding(dtype="mixed_bfloat16")(np.zeros((1, 402, 2)))
    np.testing.assert_allclose(np.asarray(waves, "float32")[0, 401], [np.sin(401), np.cos(401)], atol=0.01)


def test_a_sequence_longer_than_its_positions():
    layer = PositionEmbedding(9)
    layer.build((None, None, 4))
    message = "a sequence of 10 tokens is longer than the model's 9 positions"
    with pytest.raises(ValueError, match=message):
        layer(np.zeros((1, 10, 4)))
    with pytest.raises(ValueError, match=message):
        tf.function(layer).get_concrete_function(tf.TensorSpec((None, 10, 4), tf.float32))
    unknown = tf.function(layer).get_concrete_function(tf.TensorSpec((None, None, 4), tf.float32))
    with pytest.raises(tf.errors.InvalidArgumentError):
        unknown(tf.zeros([1, 10, 4]))


# Rotated queries and keys


def test_hand_computed_rotation():
    # Base 4 and d = 4: rates 1 and 1/2. At position 2 the pairs (0, 2) and (1, 3) rotate by 2 and by 1.
    heads = np.array([1.0, 2.0, 3.0, 4.0], "float32").reshape(1, 1, 1, 4)
    rotated = np.ravel(RotaryEmbedding(base=4.0)(heads, positions=tf.constant([2])))
    first = complex(1, 3) * np.exp(2j)
    second = complex(2, 4) * np.exp(1j)
    np.testing.assert_allclose(rotated, [first.real, second.real, first.imag, second.imag], rtol=1e-5)


def test_linear_scaling_moves_positions_together():
    heads = values(1, 2, 6, 4)
    near = RotaryEmbedding(base=9.0)(heads, positions=tf.range(6))
    far = RotaryEmbedding(base=9.0, scaling="linear", factor=3.0)(heads, positions=3 * tf.range(6))
    np.testing.assert_allclose(far, near, rtol=1e-5, atol=1e-6)


def test_hand_computed_scaling_of_llama3():
    # Base 10,000 and d = 8: rates 1, 0.1, 0.01 and 0.001, which turn 15.9, 1.59, 0.159 and 0.0159 times in 100 tokens.
    arguments = {"factor": 8.0, "low_frequency_factor": 1.0, "high_frequency_factor": 4.0, "original_length": 100}
    rates = rotary_rates(8, 10_000.0, "llama3", **arguments)
    turns = 100 * 0.1 / (2 * np.pi)
    share = (turns - 1) / 3
    expected = [1.0, 0.1 * (share + (1 - share) / 8), 0.01 / 8, 0.001 / 8]
    np.testing.assert_allclose(rates, expected, rtol=1e-12)
    layer = RotaryEmbedding(10_000.0, "llama3", **arguments)
    heads = np.zeros((1, 1, 1, 8), np.float32)
    heads[..., :4] = 1
    rotated = np.ravel(layer(heads, positions=tf.constant([5])))
    np.testing.assert_allclose(rotated[:4], np.cos(5 * np.array(expected)), rtol=1e-5)


def test_hand_computed_scaling_of_yarn():
    # Base 16 and d = 8: rates 1, 1/2, 1/4 and 1/8, which turn 63.98, 31.99, 16.0 and 8.0 times in 402 tokens. So pair 0
    # is the last with 32 turns, and pair 6, which the head does not have, would be the first with less than 1.
    rates = rotary_rates(8, 16.0, "yarn", 4.0, original_length=402)
    keeps = [1, 5 / 6, 4 / 6, 3 / 6]
    expected = [rate * (keep + (1 - keep) / 4) for rate, keep in zip((1, 1 / 2, 1 / 4, 1 / 8), keeps, strict=True)]
    np.testing.assert_allclose(rates, expected, rtol=1e-12)
    heads = values(1, 2, 3, 8)
    rotated = RotaryEmbedding(16.0, "yarn", 4.0, original_length=402)(heads)
    growth = np.linalg.norm(rotated, axis=-1) / np.linalg.norm(heads, axis=-1)
    np.testing.assert_allclose(growth, 0.1 * np.log(4) + 1, rtol=1e-5)


def test_scores_depend_only_on_distance():
    layer = RotaryEmbedding()
    query = values(2, 3, 1, 8)
    key = values(2, 3, 1, 8, seed=1)

    def score(query_position, key_position):
        rotated_query = np.asarray(layer(query, tf.constant([query_position])))
        rotated_key = np.asarray(layer(key, tf.constant([key_position])))
        return np.sum(rotated_query * rotated_key, -1)

    np.testing.assert_allclose(score(17, 12), score(5, 0), rtol=1e-4, atol=1e-5)
    assert (np.abs(score(17, 12) - score(17, 13)) > 1e-3).any()


def test_lengths_are_kept_and_the_first_position_is_unchanged():
    heads = values(2, 3, 5, 8)
    rotated = np.asarray(RotaryEmbedding(base=10.0)(heads))
    np.testing.assert_array_equal(rotated[:, :, 0], heads[:, :, 0])
    np.testing.assert_allclose(np.linalg.norm(rotated, axis=-1), np.linalg.norm(heads, axis=-1), rtol=1e-5)
    # Row 1 is shifted by one position, which changes every value.
    outputs = RotaryEmbedding(base=10.0)(heads, tf.constant([range(5), range(1, 6)]))
    np.testing.assert_array_equal(outputs[0], rotated[0])
    np.testing.assert_array_equal(outputs[1, :, :-1] == rotated[1, :, :-1], np.zeros((3, 4, 8)))


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_rotation_keeps_the_precision(dtype):
    layer = RotaryEmbedding(dtype=dtype)
    heads = tf.cast(values(1, 1, 300, 4), layer.compute_dtype)
    rotated = layer(heads)
    assert rotated.dtype == layer.compute_dtype
    exact = RotaryEmbedding()(tf.cast(heads, tf.float32))
    np.testing.assert_allclose(np.asarray(rotated, "float64"), exact, atol=0.05)


# Segments


def test_a_separator_ends_a_segment():
    layer = SegmentEmbedding(2, separator_id=9)
    tokens = np.array([[1, 9, 2, 9, 3, 9], [1, 2, 3, 4, 5, 9]])
    inputs = values(2, 6, 4)
    layer.build((None, None, 4))
    layer.table.assign([[0.0] * 4, [1.0] * 4])
    added = np.asarray(layer(inputs, tokens)) - inputs
    np.testing.assert_allclose(added[..., 0], [[0, 0, 1, 1, 1, 1], [0] * 6], atol=1e-6)
    given = np.asarray(layer(inputs, tokens, segments=np.array([[1, 0] * 3] * 2))) - inputs
    np.testing.assert_allclose(given[..., 0], [[1, 0] * 3] * 2, atol=1e-6)
    one = SegmentEmbedding(2)
    one.build((None, None, 4))
    one.table.assign(layer.table)
    np.testing.assert_array_equal(one(inputs, tokens), inputs)


# All kinds

SEGMENTS = SegmentEmbedding(3, separator_id=4, name="mine")
SCALED = RotaryEmbedding(50.0, "llama3", 2.0, 1.0, 3.0, 64)


@pytest.mark.parametrize(
    "layer",
    [
        PositionEmbedding(5, "ones", name="mine"),
        SinusoidalPositionEmbedding(name="mine"),
        RotaryEmbedding(50.0),
        SEGMENTS,
        SCALED,
    ],
    ids=["learned", "sinusoidal", "rotary", "segments", "llama3"],
)
def test_it_comes_back_from_its_configuration(layer):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(copy) is type(layer)
    assert copy.get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (lambda: PositionEmbedding(0), None, "sequence_length=0, expected at least 1"),
        (
            SinusoidalPositionEmbedding,
            (None, None, 3),
            r"shape \(None, None, 3\), expected \(batch, time, dim\) with an even dim",
        ),
        (RotaryEmbedding, (None, 2, None, 3), "head_dim=3; expected an even number"),
        (lambda: RotaryEmbedding(1.0), None, "base=1.0, expected more than 1"),
        (lambda: RotaryEmbedding(scaling="dynamic"), None, "scaling='dynamic', expected one of none, linear"),
        (lambda: SegmentEmbedding(0), None, "num_segments=0, expected at least 1"),
    ],
)
def test_what_does_not_fit(make, shape, message):
    with pytest.raises(ValueError, match=message):
        make().build(shape)
