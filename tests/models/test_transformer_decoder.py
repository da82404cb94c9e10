"""The decoder-only Transformer: sizes, exact causality, decoding, learning, precisions, saving, errors."""

import dataclasses
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.config import PRESETS, TransformerConfig
from tfdl.errors import UserError
from tfdl.inspection.shapes_only import shapes_only
from tfdl.models import compute_precision
from tfdl.optimizers import Adam

SMALL = {"num_layers": 2, "hidden_dim": 16, "num_heads": 4, "sequence_length": 12}
VOCABULARY = 11
# GPT-2, and a network with every other option (as Llama 2, with an even smaller cache).
VARIANTS = {
    "gpt": {},
    "llama": {
        "positions": "rotary",
        "normalization": "rms",
        "activation": "swiglu",
        "num_key_value_heads": 2,
        "use_bias": False,
        "tie_embeddings": False,
    },
    "post-norm": {"positions": "sinusoidal", "norm_first": False, "activation": "relu", "scale_embeddings": True},
}
EVERY_VARIANT = pytest.mark.parametrize("variant", VARIANTS)
MODES = {
    "eager": lambda function: function,
    "graph": lambda function: tf.function(function),
    "compiled": lambda function: tf.function(function, jit_compile=True),
}


def small(variant="gpt", **fields):
    """A model with random weights, biases and gains, large enough to change the result."""
    model = tfdl.build_model("transformer", vocab_size=VOCABULARY, **{**SMALL, **VARIANTS[variant], **fields})
    random = np.random.default_rng(1)
    for weight in model.weights:
        value = random.normal(size=weight.shape) / (np.sqrt(weight.shape[0]) if len(weight.shape) > 1 else 4)
        weight.assign(value + ("gamma" in weight.path))
    return model


def tokens(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, VOCABULARY, shape).astype("int32")


# Sizes

# The published models of Radford et al., and three sizes of minGPT with their embeddings.
PARAMETERS = {
    "gpt-nano": 50257 * 48 + 1024 * 48 + 3 * (12 * 48**2 + 13 * 48) + 2 * 48,
    "gpt-micro": 50257 * 128 + 1024 * 128 + 4 * (12 * 128**2 + 13 * 128) + 2 * 128,
    "gpt-mini": 50257 * 192 + 1024 * 192 + 6 * (12 * 192**2 + 13 * 192) + 2 * 192,
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
}


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS.items())
def test_published_parameters(name, parameters):
    with shapes_only():
        model = tfdl.build_model(name)
    assert model.count_params() == PRESETS[name].parameters == parameters


def test_every_decoder_preset_is_tested():
    decoders = [
        preset.name
        for preset in PRESETS.values()
        if preset.config is TransformerConfig and preset.fields.get("architecture", "decoder") == "decoder"
    ]
    assert decoders == list(PARAMETERS)


def test_variables_have_explicit_paths():
    paths = [weight.path for weight in small().weights]
    dense = ["attention/query_key_value", "attention/output", "feed_forward/up", "feed_forward/down"]
    assert paths[:2] == ["token_embedding/table", "position_embedding/table"]
    for number in (1, 2):
        expected = {f"block_{number}/{layer}/{name}" for layer in dense for name in ("kernel", "bias")}
        norms = ("attention_norm", "feed_forward_norm")
        expected |= {f"block_{number}/{norm}/{name}" for norm in norms for name in ("gamma", "beta")}
        assert {path for path in paths if path.startswith(f"block_{number}/")} == expected
    assert paths[-2:] == ["final_norm/gamma", "final_norm/beta"]
    assert paths == [weight.path for weight in small().weights]  # also in a second model


def test_shapes_are_known_without_a_call():
    model = small()
    assert model.inputs[0].shape == (None, None)
    assert model.inputs[0].dtype == "int32"
    assert model.output_shape == (None, None, VOCABULARY)
    logits = model(tokens(3, 5))
    assert (logits.shape, logits.dtype) == ((3, 5, VOCABULARY), "float32")
    assert model.get_layer("block_1").output.shape == (None, None, 16)


def test_options_without_weights_of_their_own():
    paths = {weight.path for weight in small("llama").weights}
    assert not any(path.endswith(("bias", "beta")) for path in paths)
    assert not any(path.startswith("position") for path in paths)
    model = small("llama")
    assert model.get_layer("block_1").attention.query_key_value.kernel.shape == (16, 16 + 8 + 8)
    assert model.get_layer("block_1").feed_forward.up.kernel.shape == (16, 2 * 64)
    assert model.get_layer("logits").kernel.shape == (16, VOCABULARY)


def test_initial_values_are_gpt_2_s():
    model = tfdl.build_model("transformer", vocab_size=500, num_layers=8)
    first, second = model.get_layer("block_1"), model.get_layer("block_2")
    for kernel in (first.attention.query_key_value.kernel, first.feed_forward.up.kernel, model.token_embedding.table):
        assert np.std(kernel) == pytest.approx(0.02, rel=0.05)
    for kernel in (first.attention.output_projection.kernel, second.feed_forward.down.kernel):
        assert np.std(kernel) == pytest.approx(0.02 / 4, rel=0.05)  # 16 additions to the residual stream
    assert (np.asarray(first.feed_forward.up.kernel) != second.feed_forward.up.kernel).any()
    # With such small logits all tokens are about equally likely.
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    assert float(loss(tokens(4, 20, seed=1), model(tokens(4, 20)))) == pytest.approx(np.log(500), rel=0.02)


# Causality


@EVERY_VARIANT
@pytest.mark.parametrize("mode", MODES)
def test_the_future_changes_no_bit(mode, variant):
    model = small(variant)
    run, given = MODES[mode](model), tokens(2, 12)
    before = np.asarray(run(given))
    for now in range(1, 12):
        changed = given.copy()
        changed[:, now:] = (given[:, now:] + tokens(2, 12 - now, seed=now)) % VOCABULARY
        changed[:, now] = (given[:, now] + 1) % VOCABULARY
        after = np.asarray(run(changed))
        np.testing.assert_array_equal(after[:, :now], before[:, :now])
        assert (after[:, now:] != before[:, now:]).any()


@EVERY_VARIANT
def test_the_order_of_the_past_matters(variant):
    model = small(variant)
    swapped = model(np.array([[4, 3, 5, 6]]))[0, -1]
    assert np.abs(np.asarray(model(np.array([[3, 4, 5, 6]]))[0, -1]) - swapped).max() > 1e-3


# Decoding


@pytest.mark.parametrize(("mode", "variant"), [*itertools.product(["eager", "graph"], VARIANTS), ("compiled", "llama")])
def test_decoding_equals_the_whole_sequence(mode, variant):
    model, given = small(variant), tokens(3, 10)
    step = MODES[mode](model.decode)
    expected = np.asarray(model(given))
    cache, found = model.initial_cache(3), []
    assert [part.shape for part in cache[0]] == [(3, 2 if variant == "llama" else 4, 12, 4)] * 2
    for start, stop in itertools.pairwise((0, 5, 6, 8, 9, 10)):
        logits, cache = step(given[:, start:stop], cache, tf.constant(start))
        found.append(np.asarray(logits))
    np.testing.assert_allclose(np.concatenate(found, 1), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("mode", "variant"), [("graph", "gpt"), ("graph", "llama"), ("compiled", "gpt")])
def test_greedy_decoding_in_a_loop(mode, variant):
    model, prompt = small(variant), tokens(2, 3)

    def generate(prompt):
        logits, cache = model.decode(prompt, model.initial_cache(2, 10))
        chosen = tf.argmax(logits[:, -1], -1, tf.int32)
        written = tf.TensorArray(tf.int32, 7)

        def body(place, chosen, cache, written):
            written = written.write(place - 3, chosen)
            logits, cache = model.decode(chosen[:, tf.newaxis], cache, place)
            return place + 1, tf.argmax(logits[:, -1], -1, tf.int32), cache, written

        state = tf.while_loop(lambda place, *_: place < 10, body, (3, chosen, cache, written))
        return tf.transpose(state[-1].stack())

    sequence = prompt
    for _ in range(7):  # without a cache
        following = np.argmax(np.asarray(model(sequence))[:, -1:], -1)
        sequence = np.concatenate([sequence, following], 1)
    np.testing.assert_array_equal(MODES[mode](generate)(tf.constant(prompt)), sequence[:, 3:])


@EVERY_VARIANT
@pytest.mark.parametrize("side", ["left", "right"])
def test_prompts_of_unequal_lengths(side, variant):
    model, lengths, prompt_length, total = small(variant), [5, 3, 1], 5, 9
    prompts, following = tokens(3, prompt_length), tokens(3, total - prompt_length, seed=1)
    real = np.arange(prompt_length) < np.array(lengths)[:, None]
    mask = np.ones((3, total), bool)
    mask[:, :prompt_length] = real[:, ::-1] if side == "left" else real
    last = np.array([prompt_length - 1] * 3 if side == "left" else lengths) - (side == "right")
    logits, cache = model.decode(prompts, model.initial_cache(3, total), padding_mask=mask, at=last)
    found = [np.asarray(logits)]
    for place in range(prompt_length, total):
        step = following[:, place - prompt_length, None]
        logits, cache = model.decode(step, cache, place, padding_mask=mask)
        found.append(np.asarray(logits))
    for row, length in enumerate(lengths):
        alone = np.concatenate([prompts[row, mask[row, :prompt_length]], following[row]])[None]
        expected = np.asarray(model(alone))[0, length - 1 :]
        np.testing.assert_allclose(np.concatenate(found, 1)[row], expected, rtol=1e-5, atol=1e-5)


def test_only_the_last_logits():
    model, given = small(), tokens(3, 6)
    whole, _ = model.decode(given, model.initial_cache(3))
    some, _ = model.decode(given, model.initial_cache(3), at=np.array([5, 0, 2]))
    assert some.shape == (3, 1, VOCABULARY)
    np.testing.assert_allclose(some[:, 0], np.asarray(whole)[[0, 1, 2], [5, 0, 2]], rtol=1e-5, atol=1e-6)


def test_decoding_never_drops():
    model, given = small(dropout=0.5, attention_dropout=0.5), tokens(2, 4)
    np.testing.assert_allclose(model.decode(given, model.initial_cache(2))[0], model(given), rtol=1e-5, atol=1e-5)


# Learning


@pytest.mark.parametrize(
    ("variant", "jit_compile"), [("gpt", False), ("llama", False), ("post-norm", False), ("gpt", True)]
)
def test_it_overfits_one_small_batch(variant, jit_compile):
    model = tfdl.build_model("transformer", vocab_size=VOCABULARY, **{**SMALL, **VARIANTS[variant], "hidden_dim": 32})
    given = tokens(4, 13)
    given[:, 0] = range(4)  # otherwise the same first token would have different successors
    optimizer = Adam(0.01)
    optimizer.build(model.trainable_variables)

    @tf.function(jit_compile=jit_compile, autograph=False)
    def step(inputs, targets):
        with tf.GradientTape() as tape:
            logits = model(inputs, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    losses = [float(step(given[:, :-1], given[:, 1:])) for _ in range(100)]
    assert losses[0] > 2
    assert losses[-1] < 0.05


def test_dropout_is_for_training():
    model, given = small(dropout=0.3, attention_dropout=0.3), tokens(2, 8)
    np.testing.assert_array_equal(model(given), small()(given))
    first, second = (np.asarray(model(given, training=True)) for _ in range(2))
    assert (first != second).any()
    generators = [layer for layer in model._flatten_layers() if hasattr(layer, "seed_generator")]
    assert len(generators) == 1 + 2 * 2  # of the embedding, and in each block of the weights and the residuals
    assert not [layer for layer in small()._flatten_layers() if hasattr(layer, "seed_generator")]


@EVERY_VARIANT
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_precisions(variant, precision):
    exact, given = small(variant), tokens(2, 10)
    with compute_precision(precision):
        model = small(variant)
    model.set_weights(exact.get_weights())
    logits = model(given)
    assert logits.dtype == ("float64" if precision == "float64" else "float32")
    assert {weight.dtype for weight in model.weights} == {model.dtype_policy.variable_dtype}
    assert model.get_layer("block_1").compute_dtype == model.dtype_policy.compute_dtype
    tolerance = {"mixed_bfloat16": 0.1, "mixed_float16": 0.01, "float64": 1e-5}[precision]
    np.testing.assert_allclose(logits, exact(given), atol=tolerance * np.abs(np.asarray(exact(given))).max())
    decoded, cache = model.decode(given, model.initial_cache(2))
    assert cache[0][0].dtype == model.compute_dtype
    np.testing.assert_allclose(decoded, logits, atol=tolerance)


# Saving


@EVERY_VARIANT
def test_it_saves_and_loads_as_a_keras_file(variant, tmp_path):
    with compute_precision("mixed_bfloat16"):
        model = small(variant, dropout=0.1)
    model.save(tmp_path / "gpt.keras")
    loaded = keras.saving.load_model(tmp_path / "gpt.keras")
    assert type(loaded) is type(model)
    assert loaded.get_config() == model.get_config()
    assert loaded.config == model.config
    assert loaded.dtype_policy.name == loaded.get_layer("block_2").dtype_policy.name == "mixed_bfloat16"
    assert [weight.path for weight in loaded.weights] == [weight.path for weight in model.weights]
    np.testing.assert_array_equal(loaded(tokens(2, 9)), model(tokens(2, 9)))


def test_its_configuration_is_plain():
    config = small().get_config()
    assert config["config"] == dataclasses.asdict(TransformerConfig(**SMALL))
    assert config["vocab_size"] == VOCABULARY


def test_a_stateless_call():
    model, given = small(), tokens(2, 6)
    logits, _ = model.stateless_call(
        [weight.value for weight in model.trainable_variables], [v.value for v in model.non_trainable_variables], given
    )
    np.testing.assert_array_equal(logits, model(given))


# Errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vocab_size": None}, "a Transformer decoder needs vocab_size, which its data decides"),
        ({"vocab_size": 0}, "vocab_size=0, expected a whole number of at least 1"),
        ({"num_classes": 3}, "a Transformer decoder takes only vocab_size of its data, but got num_classes=3 too"),
        ({"hidden_dim": 18}, r"model\.hidden_dim=18, expected a multiple of model\.num_heads=4, such as 20"),
        ({"num_key_value_heads": 3}, r"model\.num_key_value_heads=3, expected a divisor of model\.num_heads=4"),
        ({"hidden_dim": 20, "positions": "rotary"}, r"heads of an even width .*, not of 20 / 4 = 5"),
        ({"patch_size": 4}, r"model\.patch_size=4, expected none, except with model\.architecture=encoder"),
        ({"num_layers": 0}, r"model\.num_layers=0, expected a number of at least 1"),
        ({"dropout": 1.0}, r"model\.dropout=1\.0, expected a number from 0 to below 1"),
        ({"activation": "gelo"}, r"model\.activation='gelo', expected one of gelu, .* Did you mean 'gelu'\?"),
    ],
)
def test_what_does_not_fit(arguments, message):
    with pytest.raises(UserError, match=message):
        tfdl.build_model("transformer", **{**SMALL, "vocab_size": VOCABULARY, **arguments})


def test_a_sequence_longer_than_its_positions():
    model = small()
    message = "a sequence of 13 tokens is longer than the model's 12 positions"
    with pytest.raises(ValueError, match=message):
        model(tokens(1, 13))
    with pytest.raises(ValueError, match=message):
        tf.function(model).get_concrete_function(tf.TensorSpec((None, 13), tf.int32))
    assert small("llama")(tokens(1, 13)).shape == (1, 13, VOCABULARY)  # rotary positions have no limit


def test_more_tokens_than_places():
    model = small()
    with pytest.raises(UserError, match="max_length=13, expected at most the model's 12 learned positions"):
        model.initial_cache(1, 13)
    with pytest.raises(UserError, match="2 tokens at position 3 do not fit a cache of length 4"):
        model.decode(tokens(1, 2), model.initial_cache(1, 4), 3)
    step = tf.function(model.decode, autograph=False)
    with pytest.raises(UserError, match="5 tokens at position 0 do not fit a cache of length 4"):
        step.get_concrete_function(tf.TensorSpec((1, 5), tf.int32), model.initial_cache(1, 4))
