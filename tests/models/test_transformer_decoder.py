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
from tfdl.models import compute_precision
from tfdl.models.shapes_only import shapes_only
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
        scale = 1 / np.sqrt(weight.shape[0]) if len(weight.shape) > 1 else 1 / 4
        value = random.normal(size=weight.shape) * scale
        if "gamma" in weight.path:
            value += 1
        weight.assign(value)
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
    # The numbers of weights in Hugging Face's files.
    "smollm2-135m": 134_515_008,
    "smollm2-360m": 361_821_120,
    "qwen2-0.5b": 494_032_768,
    "tinyllama-1.1b": 1_100_048_384,
    "llama-3.2-1b": 1_235_814_400,
    "mistral-7b": 7_241_732_096,
}


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS.items())
def test_published_parameters(name, parameters):
    with shapes_only():
        model = tfdl.build_model(name)
    assert model.count_params() == PRESETS[name].parameters == parameters


def test_every_decoder_preset_is_tested():
    transformers = [preset for preset in PRESETS.values() if preset.config is TransformerConfig]
    decoders = [preset for preset in transformers if preset.fields.get("architecture", "decoder") == "decoder"]
    assert [preset.name for preset in decoders] == list(PARAMETERS)


def test_variables_have_explicit_paths():
    paths = [weight.path for weight in small().weights]
    dense_layers = ("attention/query_key_value", "attention/output", "feed_forward/up", "feed_forward/down")
    norms = ("attention_norm", "feed_forward_norm")
    assert paths[:2] == ["token_embedding/table", "position_embedding/table"]
    for number in (1, 2):
        block = f"block_{number}"
        expected = {f"{block}/{layer}/{name}" for layer in dense_layers for name in ("kernel", "bias")}
        expected |= {f"{block}/{norm}/{name}" for norm in norms for name in ("gamma", "beta")}
        assert {path for path in paths if path.startswith(f"{block}/")} == expected
    assert paths[-2:] == ["final_norm/gamma", "final_norm/beta"]
    assert paths == [weight.path for weight in small().weights]  # also in a second model


def test_shapes_are_known_without_a_call():
    model = small()
    assert model.inputs[0].shape == (None, None)
    assert model.inputs[0].dtype == "int32"
    assert model.output_shape == (None, None, VOCABULARY)
    logits = model(tokens(3, 5))
    assert logits.shape == (3, 5, VOCABULARY)
    assert logits.dtype == "float32"
    assert model.get_layer("block_1").output.shape == (None, None, 16)


def test_llama_s_weights():
    model = small("llama")
    paths = {weight.path for weight in model.weights}
    assert not any(path.endswith(("bias", "beta")) for path in paths)
    assert not any(path.startswith("position") for path in paths)
    block = model.get_layer("block_1")
    # Queries of 4 heads, keys and values of 2.
    assert block.attention.query_key_value.kernel.shape == (16, 16 + 8 + 8)
    assert block.feed_forward.up.kernel.shape == (16, 2 * 64)
    assert model.get_layer("logits").kernel.shape == (16, VOCABULARY)


def test_initial_values_are_gpt_2_s():
    model = tfdl.build_model("transformer", vocab_size=500, num_layers=8)
    first = model.get_layer("block_1")
    second = model.get_layer("block_2")
    for kernel in (first.attention.query_key_value.kernel, first.feed_forward.up.kernel, model.token_embedding.table):
        assert np.std(kernel) == pytest.approx(0.02, rel=0.05)
    for kernel in (first.attention.output_projection.kernel, second.feed_forward.down.kernel):
        assert np.std(kernel) == pytest.approx(0.02 / 4, rel=0.05)  # 16 additions to the residual stream
    assert (np.asarray(first.feed_forward.up.kernel) != second.feed_forward.up.kernel).any()
    # With such small logits all tokens are about equally likely.
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    value = loss(tokens(4, 20, seed=1), model(tokens(4, 20)))
    assert float(value) == pytest.approx(np.log(500), rel=0.02)


# Causality


@EVERY_VARIANT
@pytest.mark.parametrize("mode", MODES)
def test_later_tokens_change_no_bit_of_earlier_logits(mode, variant):
    model = small(variant)
    run = MODES[mode](model)
    inputs = tokens(2, 12)
    before = np.asarray(run(inputs))
    for position in range(1, 12):
        changed = inputs.copy()
        random_tokens = tokens(2, 12 - position, seed=position)
        changed[:, position:] = (inputs[:, position:] + random_tokens) % VOCABULARY
        changed[:, position] = (inputs[:, position] + 1) % VOCABULARY  # certainly another token
        after = np.asarray(run(changed))
        np.testing.assert_array_equal(after[:, :position], before[:, :position])
        assert (after[:, position:] != before[:, position:]).any()


@EVERY_VARIANT
def test_the_order_of_earlier_tokens_matters(variant):
    model = small(variant)
    last_logits = np.asarray(model(np.array([[3, 4, 5, 6]]))[0, -1])
    swapped = np.asarray(model(np.array([[4, 3, 5, 6]]))[0, -1])
    assert np.abs(last_logits - swapped).max() > 1e-3


# Decoding


@pytest.mark.parametrize(("mode", "variant"), [*itertools.product(["eager", "graph"], VARIANTS), ("compiled", "llama")])
def test_decoding_equals_the_whole_sequence(mode, variant):
    model = small(variant)
    inputs = tokens(3, 10)
    step = MODES[mode](model.decode)
    expected = np.asarray(model(inputs))
    cache = model.initial_cache(3)
    keys, values = cache[0]
    key_value_heads = 2 if variant == "llama" else 4
    assert keys.shape == values.shape == (3, key_value_heads, 12, 4)  # (batch, heads, positions, head width)
    logits_by_step = []
    for start, stop in itertools.pairwise((0, 5, 6, 8, 9, 10)):
        logits, cache = step(inputs[:, start:stop], cache, tf.constant(start))
        logits_by_step.append(np.asarray(logits))
    np.testing.assert_allclose(np.concatenate(logits_by_step, 1), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("mode", "variant"), [("graph", "gpt"), ("graph", "llama"), ("compiled", "gpt")])
def test_greedy_decoding_in_a_loop(mode, variant):
    model = small(variant)
    prompt = tokens(2, 3)

    def generate(prompt):
        logits, cache = model.decode(prompt, model.initial_cache(2, 10))
        token = tf.argmax(logits[:, -1], -1, tf.int32)
        written = tf.TensorArray(tf.int32, 7)

        def body(position, token, cache, written):
            written = written.write(position - 3, token)
            logits, cache = model.decode(token[:, tf.newaxis], cache, position)
            next_token = tf.argmax(logits[:, -1], -1, tf.int32)
            return position + 1, next_token, cache, written

        state = tf.while_loop(lambda position, *_: position < 10, body, (3, token, cache, written))
        return tf.transpose(state[-1].stack())

    sequence = prompt
    for _ in range(7):  # without a cache
        next_token = np.argmax(np.asarray(model(sequence))[:, -1:], -1)
        sequence = np.concatenate([sequence, next_token], 1)
    generated = MODES[mode](generate)(tf.constant(prompt))
    np.testing.assert_array_equal(generated, sequence[:, 3:])


@EVERY_VARIANT
@pytest.mark.parametrize("side", ["left", "right"])
def test_prompts_of_unequal_lengths(side, variant):
    model = small(variant)
    lengths = np.array([5, 3, 1])
    prompt_length = 5
    total = 9
    prompts = tokens(3, prompt_length)
    continuations = tokens(3, total - prompt_length, seed=1)

    # The mask is true for the prompts' tokens and all that follow, false for padding.
    mask = np.ones((3, total), bool)
    if side == "left":
        mask[:, :prompt_length] = np.arange(prompt_length) >= prompt_length - lengths[:, None]
        last = np.full(3, prompt_length - 1)
    else:
        mask[:, :prompt_length] = np.arange(prompt_length) < lengths[:, None]
        last = lengths - 1

    logits, cache = model.decode(prompts, model.initial_cache(3, total), padding_mask=mask, at=last)
    logits_by_step = [np.asarray(logits)]
    for position in range(prompt_length, total):
        next_tokens = continuations[:, position - prompt_length, None]
        logits, cache = model.decode(next_tokens, cache, position, padding_mask=mask)
        logits_by_step.append(np.asarray(logits))
    decoded = np.concatenate(logits_by_step, 1)

    for row, length in enumerate(lengths):
        prompt = prompts[row, mask[row, :prompt_length]]
        alone = np.concatenate([prompt, continuations[row]])
        expected = np.asarray(model(alone[None]))[0, length - 1 :]
        np.testing.assert_allclose(decoded[row], expected, rtol=1e-5, atol=1e-5)


def test_only_the_last_logits():
    model = small()
    inputs = tokens(3, 6)
    positions = np.array([5, 0, 2])
    all_logits, _ = model.decode(inputs, model.initial_cache(3))
    last_logits, _ = model.decode(inputs, model.initial_cache(3), at=positions)
    assert last_logits.shape == (3, 1, VOCABULARY)
    expected = np.asarray(all_logits)[np.arange(3), positions]
    np.testing.assert_allclose(last_logits[:, 0], expected, rtol=1e-5, atol=1e-6)


def test_decoding_has_no_dropout():
    model = small(dropout=0.5, attention_dropout=0.5)
    inputs = tokens(2, 4)
    logits, _ = model.decode(inputs, model.initial_cache(2))
    np.testing.assert_allclose(logits, model(inputs), rtol=1e-5, atol=1e-5)


# Learning


@pytest.mark.parametrize(
    ("variant", "jit_compile"), [("gpt", False), ("llama", False), ("post-norm", False), ("gpt", True)]
)
def test_it_overfits_one_small_batch(variant, jit_compile):
    model = tfdl.build_model("transformer", vocab_size=VOCABULARY, **{**SMALL, **VARIANTS[variant], "hidden_dim": 32})
    text = tokens(4, 13)
    text[:, 0] = range(4)  # otherwise the same first token would have different successors
    optimizer = Adam(0.01)
    optimizer.build(model.trainable_variables)

    @tf.function(jit_compile=jit_compile, autograph=False)
    def step(inputs, targets):
        with tf.GradientTape() as tape:
            logits = model(inputs, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    losses = [float(step(text[:, :-1], text[:, 1:])) for _ in range(100)]
    assert losses[0] > 2
    assert losses[-1] < 0.05


def test_dropout_is_for_training():
    model = small(dropout=0.3, attention_dropout=0.3)
    without_dropout = small()
    inputs = tokens(2, 8)
    np.testing.assert_array_equal(model(inputs), without_dropout(inputs))
    first = np.asarray(model(inputs, training=True))
    second = np.asarray(model(inputs, training=True))
    assert (first != second).any()
    # One layer for the embedding; in each of the 2 blocks, one for the attention's weights and one for the residuals.
    assert len(layers_with_seeds(model)) == 1 + 2 * 2
    assert layers_with_seeds(without_dropout) == []


def layers_with_seeds(model):
    return [layer for layer in model._flatten_layers() if hasattr(layer, "seed_generator")]


@EVERY_VARIANT
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_precisions(variant, precision):
    reference = small(variant)
    inputs = tokens(2, 10)
    with compute_precision(precision):
        model = small(variant)
    model.set_weights(reference.get_weights())
    logits = model(inputs)
    expected_dtype = "float64" if precision == "float64" else "float32"
    assert logits.dtype == expected_dtype
    assert {weight.dtype for weight in model.weights} == {model.dtype_policy.variable_dtype}
    assert model.get_layer("block_1").compute_dtype == model.dtype_policy.compute_dtype
    tolerance = {"mixed_bfloat16": 0.1, "mixed_float16": 0.01, "float64": 1e-5}[precision]
    expected = np.asarray(reference(inputs))
    np.testing.assert_allclose(logits, expected, atol=tolerance * np.abs(expected).max())
    decoded, cache = model.decode(inputs, model.initial_cache(2))
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
    assert loaded.dtype_policy.name == "mixed_bfloat16"
    assert loaded.get_layer("block_2").dtype_policy.name == "mixed_bfloat16"
    assert [weight.path for weight in loaded.weights] == [weight.path for weight in model.weights]
    np.testing.assert_array_equal(loaded(tokens(2, 9)), model(tokens(2, 9)))


def test_its_configuration_is_plain():
    config = small().get_config()
    assert config["config"] == dataclasses.asdict(TransformerConfig(**SMALL))
    assert config["vocab_size"] == VOCABULARY


def test_a_stateless_call():
    model = small()
    inputs = tokens(2, 6)
    trainable = [variable.value for variable in model.trainable_variables]
    non_trainable = [variable.value for variable in model.non_trainable_variables]
    logits, _ = model.stateless_call(trainable, non_trainable, inputs)
    np.testing.assert_array_equal(logits, model(inputs))


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
def test_bad_input(arguments, message):
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


def test_more_tokens_than_the_cache_holds():
    model = small()
    with pytest.raises(UserError, match="max_length=13, expected at most the model's 12 learned positions"):
        model.initial_cache(1, 13)
    with pytest.raises(UserError, match="2 tokens at position 3 do not fit a cache of length 4"):
        model.decode(tokens(1, 2), model.initial_cache(1, 4), 3)
    step = tf.function(model.decode, autograph=False)
    with pytest.raises(UserError, match="5 tokens at position 0 do not fit a cache of length 4"):
        step.get_concrete_function(tf.TensorSpec((1, 5), tf.int32), model.initial_cache(1, 4))
