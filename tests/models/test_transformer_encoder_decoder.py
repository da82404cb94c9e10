"""The encoder-decoder: the paper's sizes, equality with PyTorch, exact masks, step-by-step decoding, learning."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.errors import UserError
from tfdl.optimizers import Adam

SMALL = {
    "architecture": "encoder-decoder", "num_layers": 2, "num_heads": 2, "hidden_dim": 16, "sequence_length": 12,
    "norm_first": False, "activation": "relu", "positions": "sinusoidal", "scale_embeddings": True,
}  # fmt: skip


def build(vocab_size=11, **fields):
    return tfdl.build_model("transformer", vocab_size=vocab_size, **{**SMALL, **fields})


def randomized(model):
    random = np.random.default_rng(1)
    model.set_weights([value + 0.1 * random.normal(size=value.shape) for value in model.get_weights()])
    return model


def pair(batch=3, source=7, target=5):
    random = np.random.default_rng(0)
    return {
        "source": random.integers(1, 11, (batch, source)).astype("int32"),
        "target": random.integers(1, 11, (batch, target)).astype("int32"),
    }


@pytest.mark.parametrize(("name", "dim", "inner"), [("transformer-base", 512, 2048), ("transformer-big", 1024, 4096)])
def test_the_paper_s_sizes(name, dim, inner):
    """Table 3, with a shared vocabulary of 37,000: 63.08 million in base."""
    attention, feed, norm = 4 * (dim * dim + dim), 2 * dim * inner + inner + dim, 2 * dim
    encoder = attention + feed + 2 * norm
    decoder = 2 * attention + feed + 3 * norm
    parameters = 37_000 * dim + 6 * (encoder + decoder)
    assert tfdl.config.PRESETS[name].parameters == parameters
    if name == "transformer-base":
        assert round(parameters / 1e6, 2) == 63.08


def attention_state(torch, kernels, biases, output):
    values = {"in_proj_weight": np.concatenate([k.T for k in kernels]), "in_proj_bias": np.concatenate(biases)}
    values |= {"out_proj.weight": output[0].T, "out_proj.bias": output[1]}
    return {name: torch.tensor(np.ascontiguousarray(value)) for name, value in values.items()}


def copy_block(torch, block, other):
    kernel, bias = block.attention.query_key_value.get_weights()
    output = block.attention.output_projection.get_weights()
    other.self_attn.load_state_dict(attention_state(torch, [kernel], [bias], output))
    norms = [block.attention_norm, block.feed_forward_norm]
    if block.cross_attention is not None:
        cross = block.cross_attention
        (query, query_bias), (memory, memory_bias) = cross.query.get_weights(), cross.key_value.get_weights()
        state = attention_state(
            torch, [query, memory], [query_bias, memory_bias], cross.output_projection.get_weights()
        )
        other.multihead_attn.load_state_dict(state)
        norms.insert(1, block.cross_attention_norm)
    feed = block.feed_forward.get_weights()
    state = {}
    for number in (1, 2):
        first, second = feed[2 * number - 2 : 2 * number]
        state |= {f"linear{number}.weight": torch.tensor(first.T), f"linear{number}.bias": torch.tensor(second)}
    for number, norm in enumerate(norms, start=1):
        gamma, beta = norm.get_weights()
        state |= {f"norm{number}.weight": torch.tensor(gamma), f"norm{number}.bias": torch.tensor(beta)}
    missing, unexpected = other.load_state_dict(state, strict=False)
    assert not unexpected
    assert all("attn" in name for name in missing)


@pytest.mark.parametrize("norm_first", [False, True])
def test_pytorch_s_transformer_gives_the_same(norm_first):
    torch = pytest.importorskip("torch")
    model = randomized(build(norm_first=norm_first))
    theirs = torch.nn.Transformer(16, 2, 2, 2, 64, 0.0, batch_first=True, norm_first=norm_first).eval()
    if not norm_first:  # PyTorch's model always has final normalizations; the paper's post-norm stacks have none
        theirs.encoder.norm = theirs.decoder.norm = None
    for block, other in zip(
        [*model.encoder, *model.decoder], [*theirs.encoder.layers, *theirs.decoder.layers], strict=True
    ):
        copy_block(torch, block, other)
    if norm_first:
        for norm, other in [(model.encoder_norm, theirs.encoder.norm), (model.decoder_norm, theirs.decoder.norm)]:
            gamma, beta = norm.get_weights()
            other.load_state_dict({"weight": torch.tensor(gamma), "bias": torch.tensor(beta)})
    inputs = pair()
    inputs["source"][1, 4:] = 0
    embedded = {
        name: np.asarray(model._embed(inputs[name], getattr(model, f"{name}_positions"), None)) for name in inputs
    }
    with torch.no_grad():
        padding = torch.tensor(inputs["source"] == 0)
        hidden = theirs(
            torch.tensor(embedded["source"]),
            torch.tensor(embedded["target"]),
            tgt_mask=theirs.generate_square_subsequent_mask(5),
            src_key_padding_mask=padding,
            memory_key_padding_mask=padding,
            tgt_is_causal=True,
        ).numpy()
    expected = hidden @ np.asarray(model.token_embedding.table).T
    np.testing.assert_allclose(model(inputs), expected, rtol=1e-4, atol=1e-4)


def test_positions_are_the_paper_s():
    """PE(pos, 2i) = sin(pos / 10000^(2i / d)), PE(pos, 2i + 1) = cos of the same; vectors times sqrt(d)."""
    model = build()
    found = np.asarray(model._embed(np.full((1, 6), 3, "int32"), model.source_positions, None))[0]
    token = np.asarray(model.token_embedding.table)[3] * 4  # the root of 16
    for position in range(6):
        for i in range(8):
            angle = position / 10000 ** (2 * i / 16)
            assert found[position, 2 * i] == pytest.approx(token[2 * i] + np.sin(angle), abs=1e-5)
            assert found[position, 2 * i + 1] == pytest.approx(token[2 * i + 1] + np.cos(angle), abs=1e-5)


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_no_token_of_the_target_sees_the_future_to_the_bit(wrap):
    model, inputs = randomized(build()), pair()
    run = wrap(lambda source, target: model({"source": source, "target": target}))
    before = np.asarray(run(**inputs))
    changed = inputs["target"].copy()
    changed[:, 3:] = changed[:, 3:] % 10 + 1
    after = np.asarray(run(inputs["source"], changed))
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert (before[:, 3:] != after[:, 3:]).any()


def test_the_source_s_padding_is_never_looked_at():
    model, inputs = randomized(build()), pair()
    inputs["source"][:, 5:] = 0
    short = {**inputs, "source": inputs["source"][:, :5]}
    np.testing.assert_allclose(model(inputs), model(short), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("fields", [{}, {"norm_first": True, "positions": "learned"}, {"positions": "rotary"}], ids=str)
def test_decoding_step_by_step_gives_the_same(fields):
    model, inputs = randomized(build(**fields)), pair()
    inputs["source"][1, 4:] = 0
    memory, cache, steps = model.memory(inputs["source"]), model.initial_cache(3, 5), []
    for place in range(5):
        logits, cache = model.decode(inputs["target"][:, place : place + 1], cache, place, memory)
        steps.append(logits)
    np.testing.assert_allclose(tf.concat(steps, 1), model(inputs), rtol=1e-4, atol=1e-5)


def test_more_target_tokens_than_places():
    model = build(norm_first=True, positions="learned", sequence_length=4)
    with pytest.raises(UserError, match="max_length=5, expected at most the model's 4 learned positions"):
        model.initial_cache(3, 5)
    inputs = pair()
    with pytest.raises(UserError, match="3 tokens at position 2 do not fit a cache of length 4"):
        model.decode(inputs["target"][:, :3], model.initial_cache(3), 2, model.memory(inputs["source"][:, :4]))


def batches(random, count, length, vocab):
    """Sequences of unequal lengths and their reversals; token 1 starts and ends them, 0 is padding."""
    lengths = random.integers(2, length + 1, count)
    source, target = np.zeros((count, length), "int32"), np.zeros((count, length + 2), "int32")
    target[:, 0] = 1
    for row, size in enumerate(lengths):
        source[row, :size] = random.integers(2, vocab, size)
        target[row, 1 : size + 1] = source[row, :size][::-1]
        target[row, size + 1] = 1
    return source, target


@pytest.mark.slow
def test_it_learns_to_reverse_sequences():
    """Over 99% of unseen sequences are reversed exactly, decoded greedily with the cache."""
    length = 8
    vocab = 12
    model = build(vocab, hidden_dim=64, num_heads=4, num_layers=1)
    optimizer = Adam(tfdl.optimizers.build_schedule("cosine", 0.003, total_steps=1500, warmup_steps=100))
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(source, target):
        with tf.GradientTape() as tape:
            logits = model({"source": source, "target": target[:, :-1]}, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(target[:, 1:], logits)
            real = tf.cast(target[:, 1:] > 0, tf.float32)
            loss = tf.reduce_sum(losses * real) / tf.reduce_sum(real)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    random = np.random.default_rng(0)
    for _ in range(1500):
        step(*batches(random, 64, length, vocab))
    source, target = batches(np.random.default_rng(1), 500, length, vocab)
    memory, cache = model.memory(source), model.initial_cache(500, length + 1)
    written = [target[:, :1]]
    for place in range(length + 1):
        logits, cache = model.decode(written[-1], cache, place, memory)
        written.append(tf.argmax(logits, -1, tf.int32))
    found, real = np.concatenate(written, 1), target > 0
    assert ((found == target) | ~real).all(axis=1).mean() > 0.99


def test_a_batch_is_learnt_by_heart():
    model, inputs = build(hidden_dim=32, num_layers=1), pair(batch=4, target=6)
    optimizer = Adam(0.01)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            logits = model({"source": inputs["source"], "target": inputs["target"][:, :-1]}, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(inputs["target"][:, 1:], logits)
        optimizer.apply(tape.gradient(losses, model.trainable_variables), model.trainable_variables)
        return tf.reduce_mean(losses)

    for _ in range(150):
        loss = step()
    assert float(loss) < 0.02


@pytest.mark.parametrize("fields", [{}, {"tie_embeddings": False, "norm_first": True, "dropout": 0.1}], ids=str)
def test_a_model_comes_back_from_its_file(fields, tmp_path):
    model = randomized(build(**fields))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(pair()), model(pair()))
    assert again.get_config() == model.get_config()
