"""Folders that cannot be imported: one clear line for each, and nothing is written."""

import json
import shlex
import shutil
import struct

import pytest

from tests.interop import published
from tests.interop.published import torch
from tfdl.errors import UserError
from tfdl.interop import import_model
from tfdl.interop.hub import find_model
from tfdl.interop.task_parts import read_task


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    return published.save_language_model(
        folder / "files", published.llama(), published.byte_level(), eos_token="<|endoftext|>"
    )


@pytest.fixture
def files(good, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(good, tmp_path / "files")


def refusal(files, tmp_path):
    """The message of the refused import, which wrote nothing."""
    with pytest.raises(UserError) as caught:
        import_model(files, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    message = str(caught.value)
    assert "\n" not in message
    return message


def change_config(files, **changes):
    path = files / "config.json"
    values = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in values.items() if value != "left out"}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "mamba"}, "has model_type='mamba', expected one of gpt2, llama, mistral, qwen2, bert, vit"),
        ({"model_type": "left out"}, "has model_type=None, expected one of gpt2"),
        ({"model_type": ["llama"]}, "has model_type=['llama'], expected one of gpt2"),
        (
            {"architectures": ["LlamaForSequenceClassification"]},
            "is of ['LlamaForSequenceClassification'], expected LlamaForCausalLM, which tfdl builds for language-model",
        ),
        ({"quantization_config": {"bits": 4}}, "is of quantized weights, which tfdl does not read"),
        ({"hidden_act": "gelu"}, "has hidden_act='gelu', expected 'silu'; others are not built in tfdl"),
        ({"attention_bias": True}, "has attention_bias=True, expected False"),
        ({"num_hidden_layers": 10**9}, "has num_hidden_layers=1000000000, expected at most"),
        ({"vocab_size": 10**12}, "has vocab_size=1000000000000, expected at most"),
        ({"intermediate_size": 10**7}, "has intermediate_size=10000000, expected at most"),
        ({"max_position_embeddings": 10**15}, "has max_position_embeddings=1000000000000000, expected at most"),
        ({"hidden_size": "32"}, "has hidden_size='32', expected a whole number of at least 1"),
        ({"hidden_size": True}, "has hidden_size=True, expected a whole number"),
        ({"hidden_size": -32}, "has hidden_size=-32, expected a whole number"),
        ({"hidden_size": "left out"}, "has no hidden_size, expected the configuration of a published model"),
        ({"rms_norm_eps": float("inf")}, "has rms_norm_eps=inf, expected a number"),
        ({"rope_parameters": [1]}, "has rope_parameters=[1], expected an object"),
        ({"num_attention_heads": 5, "head_dim": None}, "model.hidden_dim=32, expected a multiple of model.num_heads=5"),
        ({"num_hidden_layers": 1}, "missing: nothing; unexpected: model.layers.1."),
        ({"num_hidden_layers": 3}, "missing: model.layers.2.input_layernorm.weight, model.layers.2.mlp.down_"),
        ({"tie_word_embeddings": True, "vocab_size": 399}, "has 400 tokens, but the model only 399"),
        ({"vocab_size": 401}, "model.embed_tokens.weight has the shape (400, 32), but config.json means (401, 32)"),
        ({"num_key_value_heads": 4}, "self_attn.k_proj.weight has the shape (16, 32), but config.json means (32, 32)"),
    ],
)  # fmt: skip
def test_a_configuration_that_cannot_be_used(changes, message, files, tmp_path):
    change_config(files, **changes)
    assert message in refusal(files, tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "config.json' is not JSON"),
        (b"[1]", "config.json' holds a list, expected a JSON object"),
        (b"\xff\xfe", "config.json' is not JSON"),
        (b"[" * 100_000, "config.json' is not JSON"),
        (b" " * (2**24 + 1), "config.json' has more than 16,777,216 bytes"),
    ],
)
def test_a_config_json_that_is_none(content, message, files, tmp_path):
    (files / "config.json").write_bytes(content)
    assert message in refusal(files, tmp_path)


def header_of(entries):
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot read"),
        (b"1234", "its header is longer than the file"),
        (struct.pack("<Q", 2**63), "its header is longer than the file"),
        (struct.pack("<Q", 4) + b"{{{{", "its header cannot be read"),
        (header_of([1]), "its header cannot be read"),
        (header_of({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}), "does not fit its bytes 0 to 8"),
        (header_of({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 0]}}), "a has the shape [-1] at 0 to 0"),
        (header_of({"a": {"dtype": "F32", "shape": [2**70], "data_offsets": [0, 0]}}), "does not fit its bytes"),
        (header_of({"a": {"dtype": "F8_E4M3", "shape": [0], "data_offsets": [0, 0]}}), "holds a in F8_E4M3, expected"),
        (header_of({}), "has no tensors"),
        (struct.pack("<Q", 2**24 + 1) + b" " * (2**24 + 1), "its header has 16,777,217 bytes, expected at most"),
        (
            header_of({name: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for name in "ab"}) + b"12345678",
            "b has bytes that another tensor has too",
        ),
        (
            header_of(
                {
                    "a": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
                    "b": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
                }
            )
            + b"123456789012",
            "a has bytes that another tensor has too",
        ),
    ],
)
def test_weights_that_are_none(content, message, files, tmp_path):
    (files / "model.safetensors").write_bytes(content)
    assert message in refusal(files, tmp_path)


def test_truncated_weights(files, tmp_path):
    path = files / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert "does not fit its bytes" in refusal(files, tmp_path)


def test_whole_numbers_as_weights(files, tmp_path):
    from safetensors.torch import load_file, save_file

    state = load_file(files / "model.safetensors")
    state["model.norm.weight"] = torch.ones(32, dtype=torch.int8)
    save_file(state, files / "model.safetensors")
    assert "holds model.norm.weight in I8, expected F32, F16 or BF16; quantized" in refusal(files, tmp_path)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ({"weight_map": {"a": "../secret.safetensors"}}, "names the file '../secret.safetensors', expected"),
        ({"weight_map": {"a": "/etc/passwd"}}, "names the file '/etc/passwd', expected *.safetensors in the same"),
        ({"weight_map": {"a": "weights.bin"}}, "names the file 'weights.bin', expected *.safetensors"),
        ({"weight_map": {"a": "b.safetensors"}}, "has no b.safetensors, which model.safetensors.index.json names"),
        ({"weight_map": {"a": "part.safetensors"}}, "have no a; download them anew"),
        ({"weight_map": [1]}, "has no weight_map, expected the file of each tensor"),
        ({}, "has no weight_map"),
    ],
)  # fmt: skip
def test_an_index_that_cannot_be_used(index, message, files, tmp_path):
    shutil.copy(files / "model.safetensors", tmp_path / "secret.safetensors")
    (files / "model.safetensors").rename(files / "part.safetensors")
    (files / "model.safetensors.index.json").write_text(json.dumps(index))
    assert message in refusal(files, tmp_path)


def test_a_pickle_is_refused_with_the_command_that_converts_it(files, tmp_path):
    (files / "model.safetensors").rename(files / "pytorch_model.bin")
    message = refusal(files, tmp_path)
    assert "pytorch_model.bin' is a pickle, which can run code when it is read; convert it" in message
    command = f"import transformers as t; t.LlamaForCausalLM.from_pretrained({str(files)!r}).save_pretrained('NEW')"
    assert message.endswith(f"python -c {shlex.quote(command)}")
    # A hostile name must not become part of a command.
    change_config(files, architectures=["x; import os"])
    with pytest.raises(UserError, match=r"expected LlamaForCausalLM"):
        import_model(files, tmp_path / "run")


def test_no_weights(files, tmp_path):
    (files / "model.safetensors").unlink()
    assert "has no weights, expected model.safetensors or model.safetensors.index.json" in refusal(files, tmp_path)


def test_an_output_that_is_not_free(good, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty, expected a new or empty folder"):
        import_model(good, tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id2label": {"0": "a", "2": "b"}}, "has id2label={'0': 'a', '2': 'b'}, expected a name for each class"),
        ({"id2label": {"0": "a"}}, "expected at least 2 classes"),
        ({"id2label": ["a", "b"]}, "expected a name for each class"),
        ({"problem_type": "multi_label_classification"}, "has problem_type='multi_label_classification', expected"),
        ({"pad_token_id": 3}, "has pad_token_id=3, expected 0"),
        ({"position_embedding_type": "relative_key"}, "has position_embedding_type='relative_key', expected"),
    ],
)
def test_a_classifier_that_cannot_be_used(changes, message, tmp_path):
    files = tmp_path / "files"
    published.bert().save_pretrained(files)
    published.save_wordpiece(files)
    change_config(files, **changes)
    assert message in refusal(files, tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"image_mean": [0.5], "image_std": [0.5]}, "has image_mean=[0.5], expected a number for each of the 3"),
        ({"image_mean": [0.5] * 3, "image_std": [0.5, 0.5, 0]}, "has image_std=[0.5, 0.5, 0], expected numbers"),
        ({"image_mean": [0.5] * 3}, "has image_std=None, expected a number for each"),
        ({"rescale_factor": 1.0}, "has rescale_factor=1.0, expected 1 / 255"),
    ],
)  # fmt: skip
def test_a_preprocessor_that_cannot_be_used(values, message, tmp_path):
    files = tmp_path / "files"
    published.vit().save_pretrained(files)
    (files / "preprocessor_config.json").write_text(json.dumps(values))
    assert message in refusal(files, tmp_path)


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere", "a/b/c", "x y", "~nobody/x"])
def test_no_such_folder(name):
    with pytest.raises(UserError, match=r"expected one with config\.json and model.safetensors, or a name on the hub"):
        find_model(name)


def test_a_revision_of_a_folder(good):
    with pytest.raises(UserError, match=r"--revision main with the folder .*, expected a name on the hub"):
        find_model(str(good), "main")


def test_a_hostile_file_name_does_not_become_a_program(files, tmp_path):
    (files / "model.safetensors").rename(files / "$(touch hacked).pt")
    message = refusal(files, tmp_path)
    command = message.split("if you trust it: ")[1]
    words = shlex.split(command)
    assert words[:2] == ["python", "-c"]
    assert len(words) == 3
    assert "$(touch hacked).pt" in words[2]
    assert command.count("'") > 0
    assert '"' not in command.split("'", 1)[0]


def test_a_folder_that_fills_up_meanwhile_keeps_its_files(files, tmp_path, monkeypatch):
    target = tmp_path / "target"
    target.mkdir()

    def meanwhile(*arguments):
        (target / "thesis.txt").write_text("mine")
        return read_task(*arguments)

    monkeypatch.setattr("tfdl.interop.importing.read_task", meanwhile)
    with pytest.raises(OSError, match="not empty"):
        import_model(files, target)
    assert [path.name for path in target.iterdir()] == ["thesis.txt"]
