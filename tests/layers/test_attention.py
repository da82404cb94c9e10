"""Attention: values by hand, Keras and PyTorch with the same weights, exact masks, caches, precisions, compilation."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import kernels

from tfdl.layers import CrossAttention, SelfAttention
from tfdl.layers.attention import dot_product_attention

B = 3  # sequences in a batch
T = 7  # tokens of the inputs
S = 5  # tokens of the memory
D = 24  # width of a token
HEADS = 4
DTYPES = ["float32", "mixed_bfloat16", "mixed_float16", "float64"]


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def built(layer, *shapes, seed=1):
    """The layer, built with random weights and biases."""
    layer.build(*shapes)
    random = np.random.default_rng(seed)
    layer.set_weights([random.normal(size=weight.shape) / np.sqrt(weight.shape[0]) for weight in layer.weights])
    return layer


def self_attention(**arguments):
    return built(SelfAttention(HEADS, **arguments), (None, None, D))


def gradients(function, *inputs):
    """The outputs, and the gradients of a weighted sum of them with respect to each input."""
    inputs = [tf.constant(value) for value in inputs]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = function(*inputs)
        objective = tf.reduce_sum(outputs * values(*outputs.shape, seed=9))
    return [np.asarray(value) for value in (outputs, *tape.gradient(objective, inputs))]


def padding(lengths, size, side="right"):
    """A padding mask of shape (batch, size), True for the tokens that are not padding."""
    is_token = np.arange(size) < np.array(lengths)[:, None]
    if side == "left":
        return is_token[:, ::-1]
    return is_token


# By hand


def test_hand_computed_weights():
    # d = 4, so scores are halved: 0 and ln 3, and the weights 1/4 and 3/4.
    query = np.array([2 * np.log(3.0), 0, 0, 0], "float32").reshape(1, 1, 1, 4)
    key = np.array([[0, 5, 0, 0], [1, -7, 0, 0]], "float32").reshape(1, 1, 2, 4)
    value = np.array([[8.0, 0.0], [0.0, 4.0]], "float32").reshape(1, 1, 2, 2)
    value = np.pad(value, [(0, 0), (0, 0), (0, 0), (0, 2)])
    np.testing.assert_allclose(dot_product_attention(query, key, value), [[[[2, 3, 0, 0]]]], rtol=1e-6)


def test_equal_keys_give_the_mean_of_what_may_be_seen():
    query = values(1, 1, 3, 2)
    key = np.ones((1, 1, 3, 2), "float32")
    value = np.array([[3.0, 0.0], [6.0, 3.0], [0.0, 9.0]], "float32").reshape(1, 1, 3, 2)
    causal = dot_product_attention(query, key, value, is_causal=True)
    np.testing.assert_allclose(np.ravel(causal), [3, 0, 4.5, 1.5, 3, 4], rtol=1e-6)
    masked = dot_product_attention(query, key, value, padding_mask=np.array([[True, False, True]]))
    np.testing.assert_allclose(np.ravel(masked), [1.5, 4.5] * 3, rtol=1e-6)


def test_positions_say_which_keys_came_before():
    # (batch, heads, time, dim)
    query = values(2, 2, 2, 4)
    key = values(2, 2, 6, 4, seed=1)
    value = values(2, 2, 6, 4, seed=2)
    # The two queries stand at positions 3 and 4 of a whole sequence.
    whole = values(2, 2, 6, 4, seed=3)
    whole[:, :, 3:5] = query
    expected = np.asarray(dot_product_attention(whole, key, value, is_causal=True))[:, :, 3:5]
    positions = tf.constant([3, 4])
    outputs = dot_product_attention(query, key, value, is_causal=True, query_positions=positions)
    np.testing.assert_allclose(outputs, expected, rtol=1e-6)
    positions_by_row = tf.constant([[3, 4], [0, 5]])
    outputs = dot_product_attention(query, key, value, is_causal=True, query_positions=positions_by_row)
    np.testing.assert_allclose(outputs[0], expected[0], rtol=1e-6)
    # At position 0 a query sees only the first key.
    np.testing.assert_allclose(outputs[1, :, 0], value[1, :, 0], rtol=1e-6)


def test_heads_that_share_keys_are_consecutive():
    query = values(2, 6, T, 4)
    key = values(2, 2, S, 4, seed=1)
    value = values(2, 2, S, 4, seed=2)
    expected = dot_product_attention(query, np.repeat(key, 3, axis=1), np.repeat(value, 3, axis=1))
    np.testing.assert_allclose(dot_product_attention(query, key, value), expected, rtol=1e-5, atol=1e-6)


# Against Keras with the same weights


def keras_self_attention(ours, groups):
    """Keras's layer with our weights. It has separate kernels for queries, keys and values."""
    dim = D // HEADS
    if groups == HEADS:
        theirs = keras.layers.MultiHeadAttention(HEADS, dim)
    else:
        theirs = keras.layers.GroupQueryAttention(dim, HEADS, groups)
    theirs.build((None, None, D), (None, None, D))
    kernel, bias, output, output_bias = ours.get_weights()
    ends = np.cumsum([HEADS * dim, groups * dim])
    kernels = np.split(kernel, ends, axis=1)
    biases = np.split(bias, ends)
    weights = []
    for heads, part_kernel, part_bias in zip((HEADS, groups, groups), kernels, biases, strict=True):
        weights += [part_kernel.reshape(D, heads, dim), part_bias.reshape(heads, dim)]
    theirs.set_weights([*weights, output.reshape(HEADS, dim, D), output_bias])
    return theirs


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("groups", [4, 2, 1])
def test_as_keras(groups, is_causal):
    ours = self_attention(num_key_value_heads=groups, is_causal=is_causal)
    theirs = keras_self_attention(ours, groups)
    actual = gradients(ours, values(B, T, D))
    expected = gradients(lambda x: theirs(x, x, use_causal_mask=is_causal), values(B, T, D))
    for value, reference in zip(actual, expected, strict=True):
        np.testing.assert_allclose(value, reference, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("is_causal", [False, True])
def test_as_keras_with_padding(is_causal):
    ours = self_attention(is_causal=is_causal)
    mask = padding([7, 4, 1], T)
    theirs = keras_self_attention(ours, HEADS)
    actual = gradients(lambda x: ours(x, padding_mask=mask), values(B, T, D))
    expected = gradients(lambda x: theirs(x, x, key_mask=mask, use_causal_mask=is_causal), values(B, T, D))
    for value, reference in zip(actual, expected, strict=True):
        np.testing.assert_allclose(value, reference, rtol=1e-5, atol=1e-5)


def test_cross_attention_as_keras():
    ours = built(CrossAttention(HEADS, head_dim=3), (None, None, D), (None, None, 10))
    theirs = keras.layers.MultiHeadAttention(HEADS, 3)
    theirs.build((None, None, D), (None, None, 10))
    query, query_bias, key_value, key_value_bias, output, output_bias = ours.get_weights()
    weights = [query.reshape(D, HEADS, 3), query_bias.reshape(HEADS, 3)]
    for kernel, bias in zip(np.split(key_value, 2, axis=1), np.split(key_value_bias, 2), strict=True):
        weights += [kernel.reshape(10, HEADS, 3), bias.reshape(HEADS, 3)]
    theirs.set_weights([*weights, output.reshape(HEADS, 3, D), output_bias])
    mask = padding([5, 2, 3], S)
    inputs = values(B, T, D)
    memory = values(B, S, 10, seed=3)
    actual = gradients(lambda x, memory: ours(x, memory, padding_mask=mask), inputs, memory)
    expected = gradients(lambda x, memory: theirs(x, memory, key_mask=mask), inputs, memory)
    for value, reference in zip(actual, expected, strict=True):
        np.testing.assert_allclose(value, reference, rtol=1e-5, atol=1e-5)


def test_as_pytorch():
    torch = pytest.importorskip("torch")
    query = values(B, HEADS, T, 8)
    key = values(B, 2, T, 8, seed=1)
    value = values(B, 2, T, 8, seed=2)
    expected = torch.nn.functional.scaled_dot_product_attention(
        torch.from_numpy(query),
        torch.from_numpy(key),
        torch.from_numpy(value),
        is_causal=True,
        enable_gqa=True,
    )
    outputs = dot_product_attention(query, key, value, is_causal=True)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-5)


def test_tensorflow_has_no_fused_attention_yet():
    """If this fails, TensorFlow has a fused kernel that `dot_product_attention` should use."""
    ops = {kernel.op for kernel in kernels.get_all_registered_kernels().kernel}
    assert "BatchMatMulV2" in ops
    assert not [op for op in ops if "attention" in op.lower() or "mha" in op.lower()]
    query = tf.zeros([1, 2, 3, 4])
    with pytest.raises(ValueError, match="Flash attention is not supported"):
        keras.ops.dot_product_attention(query, query, query, flash_attention=True)


# Masks are exact

MODES = {
    "eager": lambda function: function,
    "graph": lambda function: tf.function(function),
    "compiled": lambda function: tf.function(function, jit_compile=True),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_future_changes_no_bit(mode, dtype):
    layer = self_attention(is_causal=True, num_key_value_heads=2, rotary_base=100.0, dtype=dtype)
    run = MODES[mode](layer)
    inputs = values(B, T, D)
    before = np.asarray(run(inputs))
    for first in range(1, T):  # the first token that is changed
        changed = inputs.copy()
        changed[:, first:] = 100 * values(B, T - first, D, seed=first)
        after = np.asarray(run(changed))
        np.testing.assert_array_equal(after[:, :first], before[:, :first])
        assert (after[:, first:] != before[:, first:]).any()


@pytest.mark.parametrize("window", [1, 3])
def test_a_sliding_window_sees_the_last_positions_only(window):
    """What a position sees of a long text is what it sees of the window alone."""
    layer = self_attention(is_causal=True, sliding_window=window)
    without = self_attention(is_causal=True)
    inputs = values(B, T, D)
    outputs = np.asarray(layer(inputs))
    for position in range(T):
        alone = np.asarray(without(inputs[:, max(0, position + 1 - window) : position + 1]))
        np.testing.assert_allclose(outputs[:, position], alone[:, -1], rtol=1e-5, atol=1e-6)
    wide = self_attention(is_causal=True, sliding_window=T)
    np.testing.assert_array_equal(wide(inputs), without(inputs))


def test_biases_of_queries_keys_and_values_alone():
    layer = self_attention(use_bias=False, query_key_value_bias=True)
    assert [weight.path.split("/", 1)[1] for weight in layer.weights] == [
        "query_key_value/kernel",
        "query_key_value/bias",
        "output/kernel",
    ]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("is_causal", [False, True])
def test_padding_changes_no_bit(mode, is_causal):
    layer = self_attention(is_causal=is_causal)
    mask = padding([7, 4, 1], T)
    run = MODES[mode](lambda inputs: layer(inputs, padding_mask=mask))
    inputs = values(B, T, D)
    changed = np.where(mask[..., None], inputs, 100 * values(B, T, D, seed=5))
    before = np.asarray(run(inputs))
    after = np.asarray(run(changed))
    np.testing.assert_array_equal(before[mask], after[mask])


@pytest.mark.parametrize("mode", MODES)
def test_padding_of_the_memory_changes_no_bit(mode):
    layer = built(CrossAttention(HEADS), (None, None, D), (None, None, D))
    mask = padding([5, 1, 3], S)
    run = MODES[mode](lambda inputs, memory: layer(inputs, memory, padding_mask=mask))
    inputs = values(B, T, D)
    memory = values(B, S, D, seed=3)
    changed = np.where(mask[..., None], memory, 100 * values(B, S, D, seed=5))
    np.testing.assert_array_equal(run(inputs, memory), run(inputs, changed))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("is_causal", [False, True])
def test_a_query_that_may_see_nothing_gets_zeros(is_causal, dtype):
    parts = [tf.cast(values(2, 2, 4, 6, seed=seed), dtype) for seed in range(3)]
    mask = padding([4, 2], 4, side="left")  # row 1 has two leading padding tokens
    if is_causal:
        mask[1] = False  # row 1 has only padding
    with tf.GradientTape() as tape:
        tape.watch(parts)
        outputs = dot_product_attention(*parts, is_causal=is_causal, padding_mask=tf.constant(mask))
        total = tf.reduce_sum(outputs)
    for value in (outputs, *tape.gradient(total, parts)):
        assert np.isfinite(np.asarray(value, "float64")).all()
    outputs = np.asarray(outputs, "float64")
    if is_causal:
        np.testing.assert_array_equal(outputs[1], np.zeros((2, 4, 6)))
    assert (outputs[0] != 0).all()


def test_left_padding_under_a_causal_mask_does_not_change_the_tokens():
    layer = self_attention(is_causal=True)
    tokens = values(1, 4, D)
    padded = np.concatenate([50 * values(1, 3, D, seed=4), tokens], axis=1)  # (1, 7, D)
    outputs = np.asarray(layer(padded, padding_mask=padding([4], 7, side="left")))
    np.testing.assert_allclose(outputs[:, 3:], layer(tokens), rtol=1e-5, atol=1e-5)
    # A padding token sees nothing, so its attention is zero and only the projection's bias is left.
    np.testing.assert_array_equal(outputs[:, :3], np.broadcast_to(layer.output_projection.bias, (1, 3, D)))


def test_large_scores_stay_finite_in_float16():
    # 64 products of 40 * 40 are 102400, which overflows float16 unless the query is scaled first.
    query = key = tf.fill([1, 1, 2, 64], tf.constant(40.0, tf.float16))
    value = tf.constant([[[[1.0] * 64, [3.0] * 64]]], tf.float16)
    np.testing.assert_array_equal(dot_product_attention(query, key, value), np.full((1, 1, 2, 64), 2.0))


# Decoding


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "arguments", [{}, {"num_key_value_heads": 2, "rotary_base": 50.0}, {"use_bias": False}, {"sliding_window": 3}]
)
def test_decoding_equals_one_call(arguments, mode):
    layer = self_attention(is_causal=True, **arguments)
    step = MODES[mode](layer.decode)
    inputs = values(B, T, D)
    expected = np.asarray(layer(inputs))
    cache = layer.initial_cache(B, T + 2)
    cache_shape = (B, layer.num_key_value_heads, T + 2, D // HEADS)
    pieces = []
    for start, stop in itertools.pairwise((0, 3, 4, 5, T)):
        outputs, cache = step(inputs[:, start:stop], cache, tf.constant(start))
        pieces.append(np.asarray(outputs))
        assert [part.shape for part in cache] == [cache_shape, cache_shape]
    np.testing.assert_allclose(np.concatenate(pieces, 1), expected, rtol=1e-5, atol=1e-5)


def test_later_positions_of_the_cache_have_no_influence():
    layer = self_attention(is_causal=True)
    inputs = values(B, 3, D)
    empty = layer.initial_cache(B, T)
    filled = tuple(part + 1e3 for part in empty)
    outputs_of_filled, _ = layer.decode(inputs, filled, 0)
    outputs_of_empty, _ = layer.decode(inputs, empty, 0)
    np.testing.assert_array_equal(outputs_of_filled, outputs_of_empty)


def test_decoding_does_not_change_the_old_cache():
    layer = self_attention(is_causal=True)
    _, before = layer.decode(values(B, 3, D), layer.initial_cache(B, T), 0)
    copies = [np.array(part) for part in before]
    for step in (layer.decode, tf.function(layer.decode)):
        step(values(B, 2, D, seed=2), before, 1)
        for part, copy in zip(before, copies, strict=True):
            np.testing.assert_array_equal(part, copy)


def test_the_memory_is_projected_once():
    layer = built(CrossAttention(HEADS, num_key_value_heads=2), (None, None, D), (None, None, 10))
    inputs = values(B, T, D)
    memory = values(B, S, 10, seed=3)
    projected = layer.project(memory)
    assert [part.shape for part in projected] == [(B, 2, S, D // HEADS)] * 2
    np.testing.assert_array_equal(layer.attend(inputs, projected), layer(inputs, memory))


# Modes, precisions, configuration


@pytest.mark.parametrize(("dtype", "tolerance"), [("mixed_bfloat16", 5e-2), ("mixed_float16", 5e-3), ("float64", 1e-5)])
def test_other_precisions_are_near(dtype, tolerance):
    exact = self_attention(is_causal=True)
    layer = self_attention(is_causal=True, dtype=dtype)
    outputs = layer(values(B, T, D))
    assert outputs.dtype == layer.compute_dtype
    assert {weight.dtype for weight in layer.weights} == {layer.variable_dtype}
    np.testing.assert_allclose(np.asarray(outputs, "float64"), exact(values(B, T, D)), atol=tolerance, rtol=tolerance)
    assert {part.dtype.name for part in layer.initial_cache(1, 2)} == {layer.compute_dtype}


def test_weights_are_dropped_only_while_training():
    layer = self_attention(dropout=0.5)
    inputs = values(B, T, D)
    assert isinstance(layer.weights_dropout.seed_generator, keras.random.SeedGenerator)
    np.testing.assert_array_equal(layer(inputs), self_attention()(inputs))
    # The mean over many draws approaches the result without dropout. One draw deviates by about the size of a value.
    repeated = np.tile(inputs, (400, 1, 1))  # (400 * B, T, D)
    outputs = np.asarray(layer(repeated, training=True))
    draws = outputs.reshape(400, B, T, D)
    standard_error = np.std(draws, 0).max() / np.sqrt(400)
    np.testing.assert_allclose(np.mean(draws, 0), layer(inputs), atol=6 * standard_error)
    # Each call draws anew.
    assert (outputs != np.asarray(layer(repeated, training=True))).any()
    assert self_attention().weights_dropout is None


@pytest.mark.parametrize("shape", [(None, None, D), (2, None, D), (None, 5, D), (2, 5, D)])
def test_static_shapes_are_kept(shape):
    inputs = keras.Input(batch_shape=shape)
    assert SelfAttention(HEADS)(inputs).shape == shape
    assert CrossAttention(HEADS)(inputs, keras.Input((None, 10))).shape == shape
    layer = self_attention()
    traced = tf.function(layer).get_concrete_function(tf.TensorSpec(shape, tf.float32))
    assert tuple(traced.structured_outputs.shape) == shape


def test_parts_of_a_kernel_are_initialized_as_separate_kernels():
    layer = SelfAttention(HEADS, num_key_value_heads=2)
    layer.build((None, None, D))
    kernel = np.asarray(layer.query_key_value.kernel)  # (D, D + D // 2 + D // 2)
    query, key, value = np.split(kernel, [D, D + D // 2], axis=1)
    for part, width in ((query, D), (key, D // 2), (value, D // 2)):
        limit = np.sqrt(6 / (D + width))  # Glorot and Bengio, 2010
        assert 0.9 * limit < np.abs(part).max() <= limit
    assert (key != value).all()


@pytest.mark.parametrize(
    "layer",
    [
        SelfAttention(4, 2, head_dim=6, is_causal=True, rotary_base=50.0, use_bias=False, dropout=0.25, name="mine"),
        SelfAttention(4, is_causal=True, rotary_base=5.0, rotary_scaling={"factor": 2.0}, sliding_window=3),
        CrossAttention(4, 2, head_dim=6, use_bias=False, dropout=0.25, dtype="mixed_float16"),
    ],
    ids=["self", "window", "cross"],
)
def test_it_comes_back_from_its_configuration(layer):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(copy) is type(layer)
    assert copy.get_config() == layer.get_config()


def test_it_saves_and_loads_as_a_keras_file(tmp_path):
    inputs = keras.Input((None, D))
    memory = keras.Input((None, 10))
    hidden = SelfAttention(HEADS, rotary_base=9.0, name="self")(inputs)
    outputs = CrossAttention(HEADS, name="cross")(hidden, memory)
    model = keras.Model([inputs, memory], outputs)
    assert [weight.path for weight in model.weights] == [
        "self/query_key_value/kernel",
        "self/query_key_value/bias",
        "self/output/kernel",
        "self/output/bias",
        "cross/query/kernel",
        "cross/query/bias",
        "cross/key_value/kernel",
        "cross/key_value/bias",
        "cross/output/kernel",
        "cross/output/bias",
    ]
    model.save(tmp_path / "model.keras")
    batch = [values(B, T, D), values(B, S, 10)]
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(batch), model(batch))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_heads": 5}, "num_heads=5 does not divide the width 24"),
        ({"num_heads": 0}, "num_heads=0, num_key_value_heads=0, expected at least 1"),
        ({"num_heads": 4, "num_key_value_heads": 3}, "num_heads=4, num_key_value_heads=3, expected"),
        ({"num_heads": 8, "rotary_base": 9.0}, "rotates pairs of values, but head_dim=3; expected an even number"),
    ],
)
def test_sizes_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        SelfAttention(**arguments).build((None, None, D))
