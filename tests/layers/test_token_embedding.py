"""TokenEmbedding: lookup, scores by the same table, gradients of both uses, precisions."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdl.layers import TokenEmbedding


def with_table(table, **arguments):
    """A layer with this table of shape (vocab_size, hidden_dim)."""
    layer = TokenEmbedding(*np.shape(table), **arguments)
    layer.build()
    layer.table.assign(table)
    return layer


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_hand_computed():
    layer = with_table([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    np.testing.assert_array_equal(layer(np.array([[2, 0]])), [[[5, 6], [1, 2]]])
    np.testing.assert_array_equal(layer.logits(np.array([[[1.0, -1.0]]])), [[[-1, -1, -1]]])
    np.testing.assert_array_equal(layer.logits(np.array([2.0, 0.5])), [3, 8, 13])


def test_both_uses_train_one_table():
    table = values(5, 3)
    tokens = np.array([[1, 1, 4]])
    upstream = values(1, 3, 5, seed=1)  # the gradient of the logits
    layer = with_table(table)
    with tf.GradientTape() as tape:
        hidden = layer(tokens)
        objective = tf.reduce_sum(layer.logits(hidden) * upstream)
    (gradient,) = tape.gradient(objective, layer.trainable_weights)
    rows = table[tokens[0]]
    expected = upstream[0].T @ rows  # from the logits
    np.add.at(expected, tokens[0], upstream[0] @ table)  # from the lookup, once for each occurrence of a token
    np.testing.assert_allclose(tf.convert_to_tensor(gradient), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_logits_are_float32_in_16_bits(dtype):
    table = values(40, 8)
    hidden = values(2, 3, 8, seed=1)
    layer = with_table(table, dtype=dtype)
    assert layer(np.array([[1]])).dtype == layer.compute_dtype
    logits = layer.logits(tf.cast(hidden, layer.compute_dtype))
    assert logits.dtype == "float32"
    rounded = np.asarray(tf.cast(tf.cast(hidden, layer.compute_dtype), "float32"))
    np.testing.assert_allclose(logits, rounded @ table.T, rtol=1e-5, atol=1e-5)


def test_it_is_exact_in_float64():
    layer = with_table(values(40, 8), dtype="float64")
    hidden = np.random.default_rng(1).normal(size=(2, 8))
    np.testing.assert_allclose(layer.logits(hidden), hidden @ np.asarray(layer.table).T, rtol=1e-12)
    assert layer(np.array([3])).dtype == "float64"


@pytest.mark.parametrize("shape", [(None, None), (2, None), (None, 5), (2, 5), (None,)])
def test_static_shapes_are_kept(shape):
    layer = TokenEmbedding(7, 4)
    symbolic = layer(keras.Input(batch_shape=shape, dtype="int32"))
    assert symbolic.shape == (*shape, 4)
    logits = layer.logits(symbolic)
    assert logits.shape == (*shape, 7)
    assert logits.dtype == "float32"
    traced = tf.function(lambda tokens: layer.logits(layer(tokens)))
    graph = traced.get_concrete_function(tf.TensorSpec(shape, tf.int32))
    assert tuple(graph.structured_outputs.shape) == (*shape, 7)


def test_it_compiles():
    layer = with_table(values(6, 4))
    tokens = np.array([[0, 5], [2, 2]])
    compiled = tf.function(lambda tokens: layer.logits(layer(tokens)), jit_compile=True)
    np.testing.assert_allclose(compiled(tokens), layer.logits(layer(tokens)), rtol=1e-5, atol=1e-6)


def test_it_is_initialized_as_gpt_2_s_table():
    first = TokenEmbedding(1000, 50)
    second = TokenEmbedding(1000, 50)
    for layer in (first, second):
        layer.build()
        assert np.std(layer.table) == pytest.approx(0.02, rel=0.02)
    assert (np.asarray(first.table) != second.table).any()


def test_a_model_with_it_saves_and_loads(tmp_path):
    layer = TokenEmbedding(6, 4, "ones", name="mine")
    tokens = keras.Input((None,), dtype="int32")
    model = keras.Model(tokens, layer.logits(layer(tokens)))
    layer.table.assign(values(6, 4))
    assert [weight.path for weight in model.weights] == ["mine/table"]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("mine").get_config() == layer.get_config()
    np.testing.assert_array_equal(loaded(np.array([[0, 5, 2]])), model(np.array([[0, 5, 2]])))


@pytest.mark.parametrize(("vocab_size", "hidden_dim"), [(0, 4), (4, 0)])
def test_sizes_that_cannot_be(vocab_size, hidden_dim):
    with pytest.raises(ValueError, match=f"vocab_size={vocab_size}, hidden_dim={hidden_dim}, expected at least 1"):
        TokenEmbedding(vocab_size, hidden_dim)


def test_tokens_are_integers():
    with pytest.raises(ValueError, match="got tokens of dtype float32, expected integers"):
        TokenEmbedding(3, 2)(np.zeros((1, 2), "float32"))
