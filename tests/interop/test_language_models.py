"""Language models with random weights, imported, give transformers' logits at every position."""

import json

import numpy as np
import pytest

from tests.interop import published
from tests.interop.published import POSITIONS, torch, transformers
from tfdl.errors import UserError
from tfdl.interop import import_model
from tfdl.runs import load_run

END = {"eos_token": "<|endoftext|>"}
MODELS = {
    "gpt2": lambda: published.gpt2(),
    "gpt2-free-head": lambda: published.gpt2(tie_word_embeddings=False, activation_function="relu", n_inner=40),
    "llama": lambda: published.llama(),
    "llama-tied": lambda: published.llama(tie_word_embeddings=True, num_key_value_heads=4),
    "llama3": lambda: published.llama(rope_parameters=published.ROTARY_LLAMA3),
    "linear": lambda: published.llama(
        rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 500.0}, rms_norm_eps=1e-5
    ),
    "yarn": lambda: published.llama(rope_parameters=published.ROTARY_YARN),
    "mistral": lambda: published.mistral(),
    "qwen2": lambda: published.qwen2(),
}


@pytest.fixture(scope="module")
def tokens():
    return np.random.default_rng(1).integers(0, 400, (3, POSITIONS))


def logits_of(reference, tokens):
    with torch.no_grad():
        return reference(torch.from_numpy(tokens)).logits.numpy()


@pytest.fixture(scope="module", params=list(MODELS))
def imported(request, tmp_path_factory):
    """The model of transformers, the folder of its files, and the run."""
    folder = tmp_path_factory.mktemp(request.param)
    reference = MODELS[request.param]()
    published.save_language_model(folder / "files", reference, published.byte_level(), **END)
    import_model(folder / "files", folder / "run")
    return reference, folder / "files", folder / "run"


def test_logits(imported, tokens):
    reference, _, run = imported
    expected = logits_of(reference, tokens)
    assert np.abs(expected).max() > 1  # the comparison is not of zeros
    np.testing.assert_allclose(load_run(run).model(tokens), expected, rtol=1e-4, atol=1e-4)


def test_decoding_with_a_cache(imported, tokens):
    """Also with padding before the prompt, which never counts."""
    reference, _, run = imported
    model = load_run(run).model
    expected = logits_of(reference, tokens)
    prompt = 9
    padded = np.concatenate([np.full((3, 2), 7), tokens[:, :prompt]], 1)
    mask = np.arange(POSITIONS + 2)[np.newaxis] >= np.full((3, 1), 2)
    length = POSITIONS + 2 if model.config.positions == "rotary" else POSITIONS
    mask = mask[:, :length]
    logits, cache = model.decode(padded, model.initial_cache(3, length), padding_mask=mask)
    np.testing.assert_allclose(logits[:, 2:], expected[:, :prompt], rtol=1e-4, atol=1e-4)
    for position in range(prompt, prompt + 6):
        step = tokens[:, position : position + 1]
        logits, cache = model.decode(step, cache, position + 2, padding_mask=mask)
        np.testing.assert_allclose(logits[:, 0], expected[:, position], rtol=1e-4, atol=1e-4)


def test_sharded_files(tokens, tmp_path):
    reference = published.llama()
    published.save_language_model(tmp_path / "files", reference, published.byte_level(), "30KB", **END)
    assert len(list((tmp_path / "files").glob("model-*.safetensors"))) > 2
    import_model(tmp_path / "files", tmp_path / "run")
    expected = logits_of(reference, tokens)
    np.testing.assert_allclose(load_run(tmp_path / "run").model(tokens), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_weights_of_16_bits(dtype, tokens, tmp_path):
    """They are converted to float32, which has all their values."""
    reference = published.llama().to(getattr(torch, dtype))
    published.save_language_model(tmp_path / "files", reference, published.byte_level(), **END)
    import_model(tmp_path / "files", tmp_path / "run")
    # Rotary positions must not be rounded, so the reference is read from the files, too.
    reference = transformers.LlamaForCausalLM.from_pretrained(tmp_path / "files", dtype=torch.float32).eval()
    expected = logits_of(reference, tokens)
    np.testing.assert_allclose(load_run(tmp_path / "run").model(tokens), expected, rtol=1e-4, atol=1e-4)


def test_names_without_prefix_and_old_masks(tokens, tmp_path):
    """The files of the first GPT-2, which were saved without a head."""
    from safetensors.torch import load_file, save_file

    reference = published.gpt2()
    files = published.save_language_model(tmp_path / "files", reference, published.byte_level(), **END)
    state = {name.removeprefix("transformer."): value for name, value in load_file(files / "model.safetensors").items()}
    state["h.0.attn.bias"] = torch.ones(1, 1, POSITIONS, POSITIONS)
    save_file(state, files / "model.safetensors")
    import_model(files, tmp_path / "run")
    expected = logits_of(reference, tokens)
    np.testing.assert_allclose(load_run(tmp_path / "run").model(tokens), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("scaling", "message"),
    [
        (
            {"rope_type": "dynamic", "factor": 2.0},
            "has rope_type='dynamic', expected one of default, linear, llama3, yarn",
        ),
        ({"type": "longrope", "factor": 2.0}, "has type='longrope', expected one of default, linear, llama3, yarn"),
        ({"type": "yarn", "factor": 2.0, "beta_fast": 16}, "has beta_fast=16, expected 32"),
        ({"type": "linear"}, "has no factor"),
    ],
)
def test_scalings_that_are_not_built_are_refused(scaling, message, tmp_path):
    files = published.save_language_model(tmp_path / "files", published.llama(), published.byte_level(), **END)
    config = json.loads((files / "config.json").read_text())
    del config["rope_parameters"]
    (files / "config.json").write_text(json.dumps({**config, "rope_theta": 500.0, "rope_scaling": scaling}))
    with pytest.raises(UserError, match=message):
        import_model(files, tmp_path / "run")
    assert not (tmp_path / "run").exists()
