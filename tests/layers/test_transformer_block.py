"""TransformerBlock: the order of its sublayers, memory, dropout, decoding, configuration."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdl.layers import (
    CrossAttention,
    FeedForward,
    LayerNormalization,
    RMSNormalization,
    SelfAttention,
    TransformerBlock,
)

B = 2  # sequences in a batch
T = 6  # tokens of the inputs
S = 4  # tokens of the memory
D = 12  # width of a token


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def block(*, cross=False, causal=True, dtype=None, **arguments):
    """A block with random weights and biases; with ``cross`` it also attends to a memory."""
    attention = SelfAttention(3, is_causal=causal, name="attention", dtype=dtype)
    cross_attention = None
    memory_shape = None
    if cross:
        cross_attention = CrossAttention(3, name="cross_attention", dtype=dtype)
        memory_shape = (None, None, D)
    feed_forward = FeedForward(20, name="feed_forward", dtype=dtype)
    layer = TransformerBlock(attention, feed_forward, cross_attention, name="block", dtype=dtype, **arguments)
    layer.build((None, None, D), memory_shape)
    random = np.random.default_rng(1)
    layer.set_weights([random.normal(size=weight.shape) / np.sqrt(weight.shape[0]) for weight in layer.weights])
    return layer


def test_norms_come_first():
    layer = block()
    x = values(B, T, D)
    x = x + layer.attention(layer.attention_norm(x))
    x = x + layer.feed_forward(layer.feed_forward_norm(x))
    np.testing.assert_allclose(layer(values(B, T, D)), x, rtol=1e-5, atol=1e-5)


def test_norms_come_last():
    layer = block(norm_first=False, cross=True)
    x = values(B, T, D)
    memory = values(B, S, D, seed=2)
    x = layer.attention_norm(x + layer.attention(x))
    x = layer.cross_attention_norm(x + layer.cross_attention(x, memory))
    x = layer.feed_forward_norm(x + layer.feed_forward(x))
    np.testing.assert_allclose(layer(values(B, T, D), memory), x, rtol=1e-5, atol=1e-5)


def test_each_mask_goes_to_its_attention():
    layer = block(cross=True, causal=False)
    inputs = values(B, T, D)
    memory = values(B, S, D, seed=2)
    # Row 0 has no padding, row 1 only two tokens.
    mask = np.arange(T) < np.array([[T], [2]])
    memory_mask = np.arange(S) < np.array([[S], [2]])

    def run(inputs, memory):
        return np.asarray(layer(inputs, memory, padding_mask=mask, memory_padding_mask=memory_mask))

    before = run(inputs, memory)
    other_padding = np.where(mask[..., None], inputs, 9.0)
    other_memory_padding = np.where(memory_mask[..., None], memory, 9.0)
    after = run(other_padding, other_memory_padding)
    np.testing.assert_array_equal(after[mask], before[mask])
    other_memory = np.where(memory_mask[..., None], 9.0, memory)
    assert (run(inputs, other_memory) != before).any()


def test_dropout_only_while_training():
    layer = block(dropout=0.5)
    inputs = values(B, T, D)
    assert isinstance(layer.residual_dropout.seed_generator, keras.random.SeedGenerator)
    np.testing.assert_array_equal(layer(inputs), block()(inputs))
    # With everything else at zero the block adds the feed-forward layer's bias, dropped or doubled.
    layer.set_weights([np.zeros(weight.shape) for weight in layer.weights])
    layer.feed_forward.down.bias.assign(np.full(D, 3.0))
    added = np.asarray(layer(np.zeros((50, T, D), "float32"), training=True))
    assert set(np.unique(added)) == {0.0, 6.0}
    assert added.mean() == pytest.approx(3.0, abs=0.3)
    assert block().residual_dropout is None


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("cross", [False, True])
def test_decoding_equals_one_call(cross, norm_first):
    layer = block(cross=cross, norm_first=norm_first)
    inputs = values(B, T, D)
    if cross:
        memory = values(B, S, D, seed=2)
        mask = np.array([[True] * S, [True, True, False, False]])
        projected = {"memory": layer.cross_attention.project(memory), "memory_padding_mask": mask}
        expected = layer(inputs, memory, memory_padding_mask=mask)
    else:
        projected = {}
        expected = layer(inputs)
    step = tf.function(lambda inputs, cache, position: layer.decode(inputs, cache, position, **projected))
    cache = layer.attention.initial_cache(B, T)
    pieces = []
    for start, stop in itertools.pairwise((0, 3, 4, T)):
        outputs, cache = step(inputs[:, start:stop], cache, tf.constant(start))
        pieces.append(np.asarray(outputs))
    np.testing.assert_allclose(np.concatenate(pieces, 1), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("kind", "expected"), [("layer", LayerNormalization), ("rms", RMSNormalization)])
def test_kinds_of_normalization(kind, expected):
    layer = block(normalization=kind, epsilon=0.5, use_bias=False)
    for norm in (layer.attention_norm, layer.feed_forward_norm):
        assert type(norm) is expected
        assert norm.epsilon == 0.5
        assert [weight.name for weight in norm.weights] == ["gamma"]


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_it_keeps_the_precision(dtype):
    layer = block(dtype=dtype, dropout=0.1, cross=True)
    assert layer(values(B, T, D), values(B, S, D), training=True).dtype == layer.compute_dtype
    assert {weight.dtype for weight in layer.weights} == {layer.variable_dtype}


def test_weights_are_in_the_order_of_the_computation():
    paths = [weight.path for weight in block(cross=True).weights]
    sublayers = dict.fromkeys(path.split("/")[1] for path in paths)  # each once, in order
    assert list(sublayers) == [
        "attention_norm",
        "attention",
        "cross_attention_norm",
        "cross_attention",
        "feed_forward_norm",
        "feed_forward",
    ]
    assert paths[2] == "block/attention/query_key_value/kernel"


@pytest.mark.parametrize("cross", [False, True])
def test_it_comes_back_from_its_configuration(cross):
    layer = block(cross=cross, normalization="rms", norm_first=False, epsilon=0.1, dropout=0.5, use_bias=False)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert isinstance(copy, TransformerBlock)
    assert copy.get_config() == layer.get_config()


def test_it_saves_and_loads_as_a_keras_file(tmp_path):
    inputs = keras.Input((None, D))
    memory = keras.Input((None, D))
    layer = TransformerBlock(SelfAttention(3), FeedForward(20), CrossAttention(3), name="block")
    model = keras.Model([inputs, memory], layer(inputs, memory))
    assert model.output_shape == (None, None, D)
    model.save(tmp_path / "model.keras")
    batch = [values(B, T, D), values(B, S, D)]
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(batch), model(batch))


def test_what_does_not_fit():
    with pytest.raises(ValueError, match="normalization='bath', expected 'layer' or 'rms'"):
        TransformerBlock(SelfAttention(3), FeedForward(20), normalization="bath")
    with pytest.raises(ValueError, match="TransformerBlock has cross_attention but got no memory; pass memory"):
        TransformerBlock(SelfAttention(3), FeedForward(20), CrossAttention(3)).build((None, None, D))
