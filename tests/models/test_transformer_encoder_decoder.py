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
    """Random source and target texts; ``source`` and ``target`` are their lengths."""
    random = np.random.default_rng(0)
    return {
        "source": random.integers(1, 11, (batch, source)).astype("int32"),
        "target": random.integers(1, 11, (batch, target)).astype("int32"),
    }


@pytest.mark.parametrize(("name", "dim", "inner"), [("transformer-base", 512, 2048), ("transformer-big", 1024, 4096)])
def test_the_paper_s_sizes(name, dim, inner):
    """Table 3, with a shared vocabulary of 37,000: 63.08 million in base."""
    attention = 4 * (dim * dim + dim)
    feed_forward = (dim * inner + inner) + (inner * dim + dim)
    norm = 2 * dim
    encoder = attention + feed_forward + 2 * norm
    decoder = 2 * attention + feed_forward + 3 * norm
    parameters = 37_000 * dim + 6 * (encoder + decoder)
    assert tfdl.config.PRESETS[name].parameters == parameters
    if name == "transformer-base":
        assert round(parameters / 1e6, 2) == 63.08


def attention_state(torch, input_layers, output_layer):
    """The weights of an attention as PyTorch's MultiheadAttention loads them.

    Args:
        torch: The module.
        input_layers: The dense layers of queries, keys and values, which PyTorch keeps in one matrix.
        output_layer: The dense layer of the outputs.
    """
    kernels = []
    biases = []
    for layer in input_layers:
        kernel, bias = layer.get_weights()
        kernels.append(kernel.T)
        biases.append(bias)
    output_kernel, output_bias = output_layer.get_weights()
    return {
        "in_proj_weight": torch.tensor(np.concatenate(kernels)),
        "in_proj_bias": torch.tensor(np.concatenate(biases)),
        "out_proj.weight": torch.tensor(output_kernel.T),
        "out_proj.bias": torch.tensor(output_bias),
    }


def copy_into_torch(torch, block, torch_block):
    """Copies the weights of a Transformer block into PyTorch's TransformerEncoderLayer or TransformerDecoderLayer."""
    attention = block.attention
    state = attention_state(torch, [attention.query_key_value], attention.output_projection)
    torch_block.self_attn.load_state_dict(state)
    norms = [block.attention_norm, block.feed_forward_norm]
    if block.cross_attention is not None:
        cross = block.cross_attention
        state = attention_state(torch, [cross.query, cross.key_value], cross.output_projection)
        torch_block.multihead_attn.load_state_dict(state)
        norms.insert(1, block.cross_attention_norm)
    up_kernel, up_bias, down_kernel, down_bias = block.feed_forward.get_weights()
    state = {
        "linear1.weight": torch.tensor(up_kernel.T),
        "linear1.bias": torch.tensor(up_bias),
        "linear2.weight": torch.tensor(down_kernel.T),
        "linear2.bias": torch.tensor(down_bias),
    }
    for number, norm in enumerate(norms, start=1):
        gamma, beta = norm.get_weights()
        state[f"norm{number}.weight"] = torch.tensor(gamma)
        state[f"norm{number}.bias"] = torch.tensor(beta)
    missing, unexpected = torch_block.load_state_dict(state, strict=False)
    assert not unexpected
    assert all("attn" in name for name in missing)  # copied above


@pytest.mark.parametrize("norm_first", [False, True])
def test_pytorch_s_transformer_gives_the_same(norm_first):
    torch = pytest.importorskip("torch")
    model = randomized(build(norm_first=norm_first))
    theirs = torch.nn.Transformer(16, 2, 2, 2, 64, 0.0, batch_first=True, norm_first=norm_first).eval()
    if not norm_first:  # PyTorch's model always has final normalizations; the paper's post-norm stacks have none
        theirs.encoder.norm = theirs.decoder.norm = None
    blocks = [*model.encoder, *model.decoder]
    torch_blocks = [*theirs.encoder.layers, *theirs.decoder.layers]
    for block, torch_block in zip(blocks, torch_blocks, strict=True):
        copy_into_torch(torch, block, torch_block)
    if norm_first:
        for norm, torch_norm in [(model.encoder_norm, theirs.encoder.norm), (model.decoder_norm, theirs.decoder.norm)]:
            gamma, beta = norm.get_weights()
            torch_norm.load_state_dict({"weight": torch.tensor(gamma), "bias": torch.tensor(beta)})
    inputs = pair()
    inputs["source"][1, 4:] = 0
    source = np.asarray(model._embed(inputs["source"], model.source_positions, None))  # (batch, length, width)
    target = np.asarray(model._embed(inputs["target"], model.target_positions, None))
    with torch.no_grad():
        padding = torch.tensor(inputs["source"] == 0)
        hidden = theirs(
            torch.tensor(source),
            torch.tensor(target),
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
    text = np.full((1, 6), 3, "int32")
    embedded = np.asarray(model._embed(text, model.source_positions, None))[0]  # (length, width)
    token = np.asarray(model.token_embedding.table)[3] * 4  # the root of 16
    for position in range(6):
        for i in range(8):
            angle = position / 10000 ** (2 * i / 16)
            assert embedded[position, 2 * i] == pytest.approx(token[2 * i] + np.sin(angle), abs=1e-5)
            assert embedded[position, 2 * i + 1] == pytest.approx(token[2 * i + 1] + np.cos(angle), abs=1e-5)


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_later_target_tokens_change_no_bit_of_earlier_logits(wrap):
    model = randomized(build())
    inputs = pair()
    run = wrap(lambda source, target: model({"source": source, "target": target}))
    before = np.asarray(run(**inputs))
    changed = inputs["target"].copy()
    changed[:, 3:] = changed[:, 3:] % 10 + 1
    after = np.asarray(run(inputs["source"], changed))
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert (before[:, 3:] != after[:, 3:]).any()


def test_padding_of_the_source_changes_nothing():
    model = randomized(build())
    inputs = pair()
    inputs["source"][:, 5:] = 0
    without_padding = {**inputs, "source": inputs["source"][:, :5]}
    np.testing.assert_allclose(model(inputs), model(without_padding), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("fields", [{}, {"norm_first": True, "positions": "learned"}, {"positions": "rotary"}], ids=str)
def test_decoding_step_by_step_gives_the_same(fields):
    model = randomized(build(**fields))
    inputs = pair()
    inputs["source"][1, 4:] = 0
    memory = model.memory(inputs["source"])
    cache = model.initial_cache(3, 5)
    logits_by_step = []
    for position in range(5):
        token = inputs["target"][:, position : position + 1]
        logits, cache = model.decode(token, cache, position, memory)
        logits_by_step.append(logits)
    np.testing.assert_allclose(tf.concat(logits_by_step, 1), model(inputs), rtol=1e-4, atol=1e-5)


def test_more_target_tokens_than_the_cache_holds():
    model = build(norm_first=True, positions="learned", sequence_length=4)
    with pytest.raises(UserError, match="max_length=5, expected at most the model's 4 learned positions"):
        model.initial_cache(3, 5)
    inputs = pair()
    memory = model.memory(inputs["source"][:, :4])
    cache = model.initial_cache(3)
    with pytest.raises(UserError, match="3 tokens at position 2 do not fit a cache of length 4"):
        model.decode(inputs["target"][:, :3], cache, 2, memory)


def reversal_batch(random, count, length, vocab):
    """Sequences of unequal lengths and their reversals; token 1 starts and ends the reversals, 0 is padding.

    Args:
        random: A NumPy generator.
        count: The number of sequences.
        length: The longest sequence, in tokens.
        vocab: The number of tokens, including 0 and 1.
    """
    lengths = random.integers(2, length + 1, count)
    source = np.zeros((count, length), "int32")
    target = np.zeros((count, length + 2), "int32")
    target[:, 0] = 1
    for row, size in enumerate(lengths):
        sequence = random.integers(2, vocab, size)
        source[row, :size] = sequence
        target[row, 1 : size + 1] = sequence[::-1]
        target[row, size + 1] = 1
    return source, target


@pytest.mark.slow
def test_it_learns_to_reverse_sequences():
    """Over 99% of unseen sequences are reversed exactly, decoded greedily with the cache."""
    length = 6
    vocab = 12
    model = build(vocab, hidden_dim=64, num_heads=4, num_layers=1)
    optimizer = Adam(tfdl.optimizers.build_schedule("cosine", 0.003, total_steps=600, warmup_steps=50))
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(source, target):
        with tf.GradientTape() as tape:
            logits = model({"source": source, "target": target[:, :-1]}, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(target[:, 1:], logits)
            is_token = tf.cast(target[:, 1:] > 0, tf.float32)
            loss = tf.reduce_sum(losses * is_token) / tf.reduce_sum(is_token)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    random = np.random.default_rng(0)
    for _ in range(600):
        source, target = reversal_batch(random, 64, length, vocab)
        step(source, target)
    source, target = reversal_batch(np.random.default_rng(1), 500, length, vocab)
    memory = model.memory(source)
    cache = model.initial_cache(500, length + 1)
    tokens = [target[:, :1]]
    for position in range(length + 1):
        logits, cache = model.decode(tokens[-1], cache, position, memory)
        tokens.append(tf.argmax(logits, -1, tf.int32))
    decoded = np.concatenate(tokens, 1)
    is_padding = target == 0
    correct = ((decoded == target) | is_padding).all(axis=1)
    assert correct.mean() > 0.99


def test_it_overfits_one_batch():
    model = build(hidden_dim=32, num_layers=1)
    inputs = pair(batch=4, target=6)
    decoder_inputs = {"source": inputs["source"], "target": inputs["target"][:, :-1]}
    next_tokens = inputs["target"][:, 1:]
    optimizer = Adam(0.01)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            logits = model(decoder_inputs, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(next_tokens, logits)
        optimizer.apply(tape.gradient(losses, model.trainable_variables), model.trainable_variables)
        return tf.reduce_mean(losses)

    for _ in range(150):
        loss = step()
    assert float(loss) < 0.02


@pytest.mark.parametrize("fields", [{}, {"tie_embeddings": False, "norm_first": True, "dropout": 0.1}], ids=str)
def test_it_saves_and_loads_as_a_keras_file(fields, tmp_path):
    model = randomized(build(**fields))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(pair()), model(pair()))
    assert loaded.get_config() == model.get_config()
