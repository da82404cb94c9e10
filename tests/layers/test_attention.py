"""Attention: values by hand, Keras and PyTorch with the same weights, exact masks, caches, precisions, compilation."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import kernels

from tfdl.layers import CrossAttention, SelfAttention
from tfdl.layers.attention import dot_product_attention

B, T, S, D, HEADS = 3, 7, 5, 24, 4
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
    real = np.arange(size) < np.array(lengths)[:, None]
    return real if side == "right" else real[:, ::-1]


# By hand


def test_hand_computed_weights():
    # d = 4, so scores are halved: 0 and ln 3, and the weights 1/4 and 3/4.
    query = np.array([2 * np.log(3.0), 0, 0, 0], "float32").reshape(1, 1, 1, 4)
    key = np.array([[0, 5, 0, 0], [1, -7, 0, 0]], "float32").reshape(1, 1, 2, 4)
    value = np.array([[8.0, 0.0], [0.0, 4.0]], "float32").reshape(1, 1, 2, 2)
    value = np.pad(value, [(0, 0), (0, 0), (0, 0), (0, 2)])
    np.testing.assert_allclose(dot_product_attention(query, key, value), [[[[2, 3, 0, 0]]]], rtol=1e-6)


def test_equal_keys_give_the_mean_of_what_may_be_seen():
    query, key = values(1, 1, 3, 2), np.ones((1, 1, 3, 2), "float32")
    value = np.array([[3.0, 0.0], [6.0, 3.0], [0.0, 9.0]], "float32").reshape(1, 1, 3, 2)
    seen = np.ravel(dot_product_attention(query, key, value, is_causal=True))
    np.testing.assert_allclose(seen, [3, 0, 4.5, 1.5, 3, 4], rtol=1e-6)
    seen = np.ravel(dot_product_attention(query, key, value, padding_mask=np.array([[True, False, True]])))
    np.testing.assert_allclose(seen, [1.5, 4.5] * 3, rtol=1e-6)


def test_positions_say_which_keys_came_before():
    query, key, value = values(2, 2, 2, 4), values(2, 2, 6, 4, seed=1), values(2, 2, 6, 4, seed=2)
    whole = values(2, 2, 6, 4, seed=3)
    whole[:, :, 3:5] = query
    expected = np.asarray(dot_product_attention(whole, key, value, is_causal=True))[:, :, 3:5]
    found = dot_product_attention(query, key, value, is_causal=True, query_positions=tf.constant([3, 4]))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    each = dot_product_attention(query, key, value, is_causal=True, query_positions=tf.constant([[3, 4], [0, 5]]))
    np.testing.assert_allclose(each[0], expected[0], rtol=1e-6)
    np.testing.assert_allclose(each[1, :, 0], value[1, :, 0], rtol=1e-6)


def test_heads_that_share_keys_are_consecutive():
    query, key, value = values(2, 6, T, 4), values(2, 2, S, 4, seed=1), values(2, 2, S, 4, seed=2)
    repeated = (np.repeat(part, 3, axis=1) for part in (key, value))
    np.testing.assert_allclose(
        dot_product_attention(query, key, value), dot_product_attention(query, *repeated), rtol=1e-5, atol=1e-6
    )


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
    kernels, biases = np.split(kernel, ends, axis=1), np.split(bias, ends)
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
    found = gradients(ours, values(B, T, D))
    expected = gradients(lambda x: theirs(x, x, use_causal_mask=is_causal), values(B, T, D))
    for value, reference in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, reference, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("is_causal", [False, True])
def test_as_keras_with_padding(is_causal):
    ours, mask = self_attention(is_causal=is_causal), padding([7, 4, 1], T)
    theirs = keras_self_attention(ours, HEADS)
    found = gradients(lambda x: ours(x, padding_mask=mask), values(B, T, D))
    expected = gradients(lambda x: theirs(x, x, key_mask=mask, use_causal_mask=is_causal), values(B, T, D))
    for value, reference in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, reference, rtol=1e-5, atol=1e-5)


def test_cross_attention_as_keras():
    ours = built(CrossAttention(HEADS, head_dim=3), (None, None, D), (None, None, 10))
    theirs = keras.layers.MultiHeadAttention(HEADS, 3)
    theirs.build((None, None, D), (None, None, 10))
    query, query_bias, pair, pair_bias, output, output_bias = ours.get_weights()
    weights = [query.reshape(D, HEADS, 3), query_bias.reshape(HEADS, 3)]
    for kernel, bias in zip(np.split(pair, 2, axis=1), np.split(pair_bias, 2), strict=True):
        weights += [kernel.reshape(10, HEADS, 3), bias.reshape(HEADS, 3)]
    theirs.set_weights([*weights, output.reshape(HEADS, 3, D), output_bias])
    mask = padding([5, 2, 3], S)
    inputs = values(B, T, D), values(B, S, 10, seed=3)
    found = gradients(lambda x, memory: ours(x, memory, padding_mask=mask), *inputs)
    expected = gradients(lambda x, memory: theirs(x, memory, key_mask=mask), *inputs)
    for value, reference in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, reference, rtol=1e-5, atol=1e-5)


def test_as_pytorch():
    torch = pytest.importorskip("torch")
    parts = values(B, HEADS, T, 8), values(B, 2, T, 8, seed=1), values(B, 2, T, 8, seed=2)
    expected = torch.nn.functional.scaled_dot_product_attention(
        *map(torch.from_numpy, parts), is_causal=True, enable_gqa=True
    )
    np.testing.assert_allclose(dot_product_attention(*parts, is_causal=True), expected, rtol=1e-5, atol=1e-5)


def test_tensorflow_has_no_fused_attention_yet():
    """If this fails, TensorFlow has a fused kernel that `dot_product_attention` should use."""
    known = {kernel.op for kernel in kernels.get_all_registered_kernels().kernel}
    assert "BatchMatMulV2" in known
    assert not [name for name in known if "attention" in name.lower() or "mha" in name.lower()]
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
    for now in range(1, T):
        changed = inputs.copy()
        changed[:, now:] = 100 * values(B, T - now, D, seed=now)
        after = np.asarray(run(changed))
        np.testing.assert_array_equal(after[:, :now], before[:, :now])
        assert (after[:, now:] != before[:, now:]).any()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("is_causal", [False, True])
def test_padding_changes_no_bit(mode, is_causal):
    layer, mask = self_attention(is_causal=is_causal), padding([7, 4, 1], T)
    run = MODES[mode](lambda inputs: layer(inputs, padding_mask=mask))
    inputs = values(B, T, D)
    changed = np.where(mask[..., None], inputs, 100 * values(B, T, D, seed=5))
    np.testing.assert_array_equal(np.asarray(run(inputs))[mask], np.asarray(run(changed))[mask])


@pytest.mark.parametrize("mode", MODES)
def test_padding_of_the_memory_changes_no_bit(mode):
    layer, mask = built(CrossAttention(HEADS), (None, None, D), (None, None, D)), padding([5, 1, 3], S)
    run = MODES[mode](lambda inputs, memory: layer(inputs, memory, padding_mask=mask))
    inputs, memory = values(B, T, D), values(B, S, D, seed=3)
    changed = np.where(mask[..., None], memory, 100 * values(B, S, D, seed=5))
    np.testing.assert_array_equal(run(inputs, memory), run(inputs, changed))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("is_causal", [False, True])
def test_a_query_that_may_see_nothing_gets_zeros(is_causal, dtype):
    parts = [tf.cast(values(2, 2, 4, 6, seed=seed), dtype) for seed in range(3)]
    mask = padding([4, 2], 4, side="left")
    mask[1] &= not is_causal  # row 1: two leading padding tokens, or only padding

    def attend(*parts):
        return dot_product_attention(*parts, is_causal=is_causal, padding_mask=tf.constant(mask))

    with tf.GradientTape() as tape:
        tape.watch(parts)
        outputs = attend(*parts)
        total = tf.reduce_sum(outputs)
    for value in (outputs, *tape.gradient(total, parts)):
        assert np.isfinite(np.asarray(value, "float64")).all()
    if is_causal:
        np.testing.assert_array_equal(np.asarray(outputs, "float64")[1], np.zeros((2, 4, 6)))
    assert (np.asarray(outputs, "float64")[0] != 0).all()


def test_left_padding_under_a_causal_mask_leaves_the_rest_alone():
    layer, alone = self_attention(is_causal=True), values(1, 4, D)
    padded = np.concatenate([50 * values(1, 3, D, seed=4), alone], axis=1)
    found = np.asarray(layer(padded, padding_mask=padding([4], 7, side="left")))
    np.testing.assert_allclose(found[:, 3:], layer(alone), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(found[:, :3], np.broadcast_to(layer.output_projection.bias, (1, 3, D)))


def test_large_scores_stay_finite_in_float16():
    # 64 products of 40 * 40 are 102400, which overflows float16 unless the query is scaled first.
    query = key = tf.fill([1, 1, 2, 64], tf.constant(40.0, tf.float16))
    value = tf.constant([[[[1.0] * 64, [3.0] * 64]]], tf.float16)
    np.testing.assert_array_equal(dot_product_attention(query, key, value), np.full((1, 1, 2, 64), 2.0))


# Decoding


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("arguments", [{}, {"num_key_value_heads": 2, "rotary_base": 50.0}, {"use_bias": False}])
def test_decoding_equals_one_call(arguments, mode):
    layer = self_attention(is_causal=True, **arguments)
    step = MODES[mode](layer.decode)
    inputs = values(B, T, D)
    expected = np.asarray(layer(inputs))
    cache, found = layer.initial_cache(B, T + 2), []
    for start, stop in itertools.pairwise((0, 3, 4, 5, T)):
        outputs, cache = step(inputs[:, start:stop], cache, tf.constant(start))
        found.append(np.asarray(outputs))
        assert [part.shape for part in cache] == [(B, layer.num_key_value_heads, T + 2, D // HEADS)] * 2
    np.testing.assert_allclose(np.concatenate(found, 1), expected, rtol=1e-5, atol=1e-5)


def test_what_stands_behind_in_the_cache_has_no_influence():
    layer = self_attention(is_causal=True)
    filled = tuple(part + 1e3 for part in layer.initial_cache(B, T))
    np.testing.assert_array_equal(
        layer.decode(values(B, 3, D), filled, 0)[0], layer.decode(values(B, 3, D), layer.initial_cache(B, T), 0)[0]
    )


def test_decoding_leaves_the_old_cache_alone():
    layer = self_attention(is_causal=True)
    _, before = layer.decode(values(B, 3, D), layer.initial_cache(B, T), 0)
    copies = [np.array(part) for part in before]
    for step in (layer.decode, tf.function(layer.decode)):
        step(values(B, 2, D, seed=2), before, 1)
        for part, copy in zip(before, copies, strict=True):
            np.testing.assert_array_equal(part, copy)


def test_the_memory_is_projected_once():
    layer = built(CrossAttention(HEADS, num_key_value_heads=2), (None, None, D), (None, None, 10))
    inputs, memory = values(B, T, D), values(B, S, 10, seed=3)
    projected = layer.project(memory)
    assert [part.shape for part in projected] == [(B, 2, S, D // HEADS)] * 2
    np.testing.assert_array_equal(layer.attend(inputs, projected), layer(inputs, memory))


# Modes, precisions, configuration


@pytest.mark.parametrize(("dtype", "tolerance"), [("mixed_bfloat16", 5e-2), ("mixed_float16", 5e-3), ("float64", 1e-5)])
def test_other_precisions_are_near(dtype, tolerance):
    exact, layer = self_attention(is_causal=True), self_attention(is_causal=True, dtype=dtype)
    outputs = layer(values(B, T, D))
    assert outputs.dtype == layer.compute_dtype
    assert {weight.dtype for weight in layer.weights} == {layer.variable_dtype}
    np.testing.assert_allclose(np.asarray(outputs, "float64"), exact(values(B, T, D)), atol=tolerance, rtol=tolerance)
    assert {part.dtype.name for part in layer.initial_cache(1, 2)} == {layer.compute_dtype}


def test_weights_are_dropped_while_training_alone():
    layer, inputs = self_attention(dropout=0.5), values(B, T, D)
    assert isinstance(layer.weights_dropout.seed_generator, keras.random.SeedGenerator)
    np.testing.assert_array_equal(layer(inputs), self_attention()(inputs))
    draws = [np.asarray(layer(inputs, training=True)) for _ in range(400)]
    assert (draws[0] != draws[1]).any()
    # The mean over many draws approaches the result without dropout. One draw deviates by about the size of a value.
    np.testing.assert_allclose(np.mean(draws, 0), layer(inputs), atol=6 * np.std(draws, 0).max() / 20)
    assert self_attention().weights_dropout is None


@pytest.mark.parametrize("shape", [(None, None, D), (2, None, D), (None, 5, D), (2, 5, D)])
def test_static_shapes_are_kept(shape):
    inputs = keras.Input(batch_shape=shape)
    assert SelfAttention(HEADS)(inputs).shape == shape
    assert CrossAttention(HEADS)(inputs, keras.Input((None, 10))).shape == shape
    layer = self_attention()
    traced = tf.function(layer).get_concrete_function(tf.TensorSpec(shape, tf.float32))
    assert tuple(traced.structured_outputs.shape) == shape


def test_parts_of_a_kernel_start_as_kernels_of_their_own():
    layer = SelfAttention(HEADS, num_key_value_heads=2)
    layer.build((None, None, D))
    query, key, value = np.split(np.asarray(layer.query_key_value.kernel), [D, D + D // 2], axis=1)
    for part, width in ((query, D), (key, D // 2), (value, D // 2)):
        limit = np.sqrt(6 / (D + width))  # Glorot and Bengio, 2010
        assert 0.9 * limit < np.abs(part).max() <= limit
    assert (key != value).all()


@pytest.mark.parametrize(
    "layer",
    [
        SelfAttention(4, 2, head_dim=6, is_causal=True, rotary_base=50.0, use_bias=False, dropout=0.25, name="mine"),
        CrossAttention(4, 2, head_dim=6, use_bias=False, dropout=0.25, dtype="mixed_float16"),
    ],
    ids=["self", "cross"],
)
def test_it_comes_back_from_its_configuration(layer):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(copy) is type(layer)
    assert copy.get_config() == layer.get_config()


def test_it_saves_and_loads_as_a_keras_file(tmp_path):
    inputs, memory = keras.Input((None, D)), keras.Input((None, 10))
    outputs = CrossAttention(HEADS, name="cross")(SelfAttention(HEADS, rotary_base=9.0, name="self")(inputs), memory)
    model = keras.Model([inputs, memory], outputs)
    assert [weight.path for weight in model.weights] == [
        f"{layer}/{part}/{name}"
        for layer, parts in (("self", ("query_key_value", "output")), ("cross", ("query", "key_value", "output")))
        for part, name in itertools.product(parts, ("kernel", "bias"))
    ]
    model.save(tmp_path / "model.keras")
    batch = [values(B, T, D), values(B, S, 10)]
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "model.keras")(batch), model(batch))


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
