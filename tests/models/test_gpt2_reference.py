"""GPT-2 and Llama with random weights against Hugging Face's PyTorch models: every layer, logits, gradients."""

import numpy as np
import pytest
import tensorflow as tf

import tfdl

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

VOCABULARY = 97
POSITIONS = 24
LAYERS = 3
HEADS = 4
WIDTH = 32


def random_weights(reference, seed=0):
    """Sets every weight to random values large enough that swapping two weights changes the result."""
    random = np.random.default_rng(seed)
    with torch.no_grad():
        for name, weight in reference.named_parameters():
            scale = 0.3 if weight.ndim == 1 else 1 / np.sqrt(min(weight.shape))
            value = random.normal(size=tuple(weight.shape)) * scale
            is_normalization = "norm" in name or ".ln_" in name
            if is_normalization and name.endswith("weight"):
                value += 1  # gains vary around 1
            weight.copy_(torch.from_numpy(value))
    return reference.eval()


def gpt2_weights(state):
    """The weights by tfdl's paths. Hugging Face's Conv1D has the layout (inputs, outputs) of a Keras kernel."""
    dense = {
        "attn.c_attn": "attention/query_key_value",
        "attn.c_proj": "attention/output",
        "mlp.c_fc": "feed_forward/up",
        "mlp.c_proj": "feed_forward/down",
    }
    norms = {"ln_1": "attention_norm", "ln_2": "feed_forward_norm"}
    weights = {"token_embedding/table": state["wte.weight"], "position_embedding/table": state["wpe.weight"]}
    for number in range(LAYERS):
        block = f"block_{number + 1}"
        for theirs, ours in dense.items():
            weights[f"{block}/{ours}/kernel"] = state[f"h.{number}.{theirs}.weight"]
            weights[f"{block}/{ours}/bias"] = state[f"h.{number}.{theirs}.bias"]
        for theirs, ours in norms.items():
            weights[f"{block}/{ours}/gamma"] = state[f"h.{number}.{theirs}.weight"]
            weights[f"{block}/{ours}/beta"] = state[f"h.{number}.{theirs}.bias"]
    weights["final_norm/gamma"] = state["ln_f.weight"]
    weights["final_norm/beta"] = state["ln_f.bias"]
    return weights


def llama_weights(state):
    """The weights by tfdl's paths. Hugging Face's Linear has the layout (outputs, inputs), Keras (inputs, outputs)."""
    weights = {"token_embedding/table": state["model.embed_tokens.weight"], "logits/kernel": state["lm_head.weight"].T}
    for number in range(LAYERS):
        layer = f"model.layers.{number}"
        block = f"block_{number + 1}"
        query_key_value = [state[f"{layer}.self_attn.{part}_proj.weight"] for part in "qkv"]
        gate_and_up = [state[f"{layer}.mlp.{part}_proj.weight"] for part in ("gate", "up")]
        weights |= {
            f"{block}/attention/query_key_value/kernel": torch.cat(query_key_value).T,
            f"{block}/attention/output/kernel": state[f"{layer}.self_attn.o_proj.weight"].T,
            f"{block}/feed_forward/up/kernel": torch.cat(gate_and_up).T,
            f"{block}/feed_forward/down/kernel": state[f"{layer}.mlp.down_proj.weight"].T,
            f"{block}/attention_norm/gamma": state[f"{layer}.input_layernorm.weight"],
            f"{block}/feed_forward_norm/gamma": state[f"{layer}.post_attention_layernorm.weight"],
        }
    weights["final_norm/gamma"] = state["model.norm.weight"]
    return weights


def gpt2():
    config = transformers.GPT2Config(
        vocab_size=VOCABULARY, n_positions=POSITIONS, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS
    )
    reference = random_weights(transformers.GPT2LMHeadModel(config))
    model = tfdl.build_model(
        "gpt2",
        num_layers=LAYERS,
        num_heads=HEADS,
        hidden_dim=WIDTH,
        sequence_length=POSITIONS,
        vocab_size=VOCABULARY,
    )
    return reference, model, gpt2_weights(reference.transformer.state_dict())


def llama():
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=44,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=2,
        max_position_embeddings=POSITIONS,
        rms_norm_eps=1e-6,
        tie_word_embeddings=False,
    )
    reference = random_weights(transformers.LlamaForCausalLM(config))
    model = tfdl.build_model(
        "transformer",
        num_layers=LAYERS,
        num_heads=HEADS,
        num_key_value_heads=2,
        hidden_dim=WIDTH,
        intermediate_dim=44,
        sequence_length=POSITIONS,
        vocab_size=VOCABULARY,
        positions="rotary",
        normalization="rms",
        activation="swiglu",
        use_bias=False,
        tie_embeddings=False,
        epsilon=1e-6,
    )
    return reference, model, llama_weights(reference.state_dict())


@pytest.fixture(scope="module", params=[gpt2, llama], ids=["gpt2", "llama"])
def pair(request):
    """Hugging Face's model, tfdl's with the same weights, and the weights by path."""
    reference, model, weights = request.param()
    assert sorted(weights) == sorted(weight.path for weight in model.weights)
    for weight in model.weights:
        weight.assign(weights[weight.path].numpy())
    return reference, model, weights


@pytest.fixture(scope="module")
def tokens():
    return np.random.default_rng(1).integers(0, VOCABULARY, (2, POSITIONS))


def test_every_layer_and_the_logits(pair, tokens):
    reference, model, _ = pair
    with torch.no_grad():
        expected = reference(torch.from_numpy(tokens), output_hidden_states=True)
    x = model.embed(tokens)
    hidden_states = [x]
    for block in model.blocks:
        x = block(x)
        hidden_states.append(x)
    hidden_states[-1] = model.final_norm(x)  # Hugging Face returns the inputs of each block and of the head
    assert len(hidden_states) == len(expected.hidden_states) == LAYERS + 1
    for ours, theirs in zip(hidden_states, expected.hidden_states, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-4)
    assert expected.logits.abs().max() > 3  # the comparison is not of zeros
    np.testing.assert_allclose(model(tokens), expected.logits.numpy(), rtol=1e-4, atol=1e-4)


def test_gradients(pair, tokens):
    reference, model, weights = pair
    reference.zero_grad()
    logits = reference(torch.from_numpy(tokens)).logits[:, :-1]
    targets = torch.from_numpy(tokens[:, 1:])
    expected = torch.nn.functional.cross_entropy(logits.reshape(-1, VOCABULARY), targets.reshape(-1))
    expected.backward()
    with tf.GradientTape() as tape:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tokens[:, 1:], model(tokens)[:, :-1])
        loss = tf.reduce_mean(losses)
    assert float(loss) == pytest.approx(expected.item(), rel=1e-5)
    gradients = tape.gradient(loss, model.trainable_variables)
    state = {}
    for name, parameter in reference.named_parameters():
        state[name.removeprefix("transformer.")] = parameter.grad
    by_path = llama_weights(state) if "logits/kernel" in weights else gpt2_weights(state)
    for weight, gradient in zip(model.trainable_variables, gradients, strict=True):
        reference_gradient = by_path[weight.path].numpy()
        np.testing.assert_allclose(
            tf.convert_to_tensor(gradient),
            reference_gradient,
            rtol=1e-3,
            atol=1e-4 * np.abs(reference_gradient).max(),
            err_msg=weight.path,
        )


def test_greedy_tokens(pair, tokens):
    reference, model, _ = pair
    prompt = tokens[:, :6]
    total = 16
    attend = torch.ones(prompt.shape, dtype=torch.long)
    expected = reference.generate(
        torch.from_numpy(prompt),
        attention_mask=attend,
        do_sample=False,
        max_length=total,
        eos_token_id=None,
        pad_token_id=0,
    )
    sequence = prompt
    new_tokens = prompt  # not in the cache yet
    cache = model.initial_cache(2, total)
    while sequence.shape[1] < total:
        position = sequence.shape[1] - new_tokens.shape[1]
        logits, cache = model.decode(new_tokens, cache, position)
        new_tokens = np.argmax(np.asarray(logits)[:, -1:], -1)  # (batch, 1)
        sequence = np.concatenate([sequence, new_tokens], 1)
    np.testing.assert_array_equal(sequence, expected.numpy())
