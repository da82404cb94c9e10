"""Runs written for Hugging Face: transformers' Auto classes give the same logits, and its tokenizer the same tokens."""

import json

import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tests.interop import published
from tests.interop.published import HARD, POSITIONS, torch, transformers
from tests.interop.test_language_models import END, MODELS, logits_of
from tfdl.config import TrainConfig, compose
from tfdl.errors import UserError
from tfdl.export import export_huggingface
from tfdl.interop import import_model
from tfdl.runs import load_run


@pytest.mark.parametrize("name", list(MODELS))
def test_there_and_back(name, tmp_path):
    """Every tensor and every logit of transformers' model comes back bit for bit."""
    reference = MODELS[name]()
    files = published.save_language_model(tmp_path / "files", reference, published.byte_level(), **END)
    import_model(files, tmp_path / "run")
    exported = export_huggingface(tmp_path / "run", tmp_path / "back")
    assert exported.model_class == type(reference).__name__
    again, info = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "back", output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    expected = reference.state_dict()
    for key, value in again.state_dict().items():
        torch.testing.assert_close(value, expected[key], rtol=0, atol=0)
    tokens = np.random.default_rng(1).integers(0, 400, (2, POSITIONS))
    again.config._attn_implementation = reference.config._attn_implementation
    np.testing.assert_array_equal(logits_of(again.eval(), tokens), logits_of(reference, tokens))


@pytest.mark.parametrize(
    ("make", "tokens"),
    [
        (published.byte_level, END),
        (lambda: published.byte_level(digits_alone=True), END),
        (published.like_llama3, {"bos_token": "<|im_start|>", "eos_token": "<|endoftext|>"}),
    ],
)
def test_tokenizers_there_and_back(make, tokens, tmp_path):
    tokenizer = make()
    model = published.llama(vocab_size=tokenizer.get_vocab_size())
    files = published.save_language_model(tmp_path / "files", model, tokenizer, **tokens)
    import_model(files, tmp_path / "run")
    export_huggingface(tmp_path / "run", tmp_path / "back")
    before = transformers.AutoTokenizer.from_pretrained(files)
    after = transformers.AutoTokenizer.from_pretrained(tmp_path / "back")
    for text in HARD:
        text = text.replace("\ud800", "\ufffd")
        ids = before(text).input_ids  # special tokens in the text are recognized
        assert after(text).input_ids == ids, text
        assert after.decode(ids) == before.decode(ids), text
    assert after.eos_token_id == before.eos_token_id


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_language):
    config = tiny_language("transformer", {"tokenizer": {"name": "bpe", "vocab_size": 300}}, steps=2)
    return tfdl.train(config, tmp_path_factory.mktemp("trained") / "run")


def test_a_model_that_tfdl_trained(trained, tmp_path):
    loaded = load_run(trained)
    export_huggingface(trained, tmp_path / "out")
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    for text in HARD:
        text = text.replace("\ud800", "\ufffd")
        assert tokenizer(text).input_ids == loaded.task.tokenizer.encode(text), text
    tokens = np.array([loaded.task.tokenizer.encode("the import statement")])
    np.testing.assert_allclose(logits_of(model, tokens), loaded.model(tokens), rtol=1e-4, atol=1e-4)


SHORT = {"train_split": "train[:40]", "validation_split": "validation[:9]", "test_split": "test[:9]"}
SMALL_MODEL = {"name": "transformer", "num_layers": 1, "hidden_dim": 16, "num_heads": 2, "pooling": "first"}


def test_a_text_classifier_that_tfdl_trained(tmp_path):
    """It has no segments, and its texts begin with the start token."""
    config = compose(
        {
            "task": "text-classification",
            "model": {**SMALL_MODEL, "norm_first": False, "activation": "gelu_exact", "sequence_length": 20},
            "dataset": {"name": "docstrings", **SHORT},
            "tokenizer": {"name": "bpe", "vocab_size": 300},
            "steps": 1,
            "batch_size": 8,
        }
    )
    run = tfdl.train(config, tmp_path / "run")
    export_huggingface(run, tmp_path / "out")
    loaded = load_run(run)
    model, info = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "out", output_loading_info=True
    )
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    texts = ["Return the length.", "", "a much longer text, which is cut after its first twenty tokens or so"]
    inputs = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        logits = model.eval()(input_ids=inputs.input_ids, attention_mask=inputs.attention_mask).logits
    probabilities = loaded.task.serve(loaded.model, text=tf.constant(texts))["probabilities"]
    np.testing.assert_allclose(logits.softmax(-1), probabilities, rtol=1e-4, atol=1e-5)
    assert list(model.config.id2label.values()) == list(loaded.task.class_names)


def test_an_image_classifier_that_tfdl_trained(tmp_path, data_dir):  # noqa: ARG001
    config = compose(
        {
            "task": "image-classification",
            "model": {**SMALL_MODEL, "patch_size": 4, "architecture": "encoder"},
            "dataset": {"name": "digits", "image_size": [8, 8], "train_split": "train[:40]"},
            "steps": 1,
            "batch_size": 8,
        }
    )
    run = tfdl.train(config, tmp_path / "run")
    export_huggingface(run, tmp_path / "out")
    loaded = load_run(run)
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), np.uint8)
    expected = loaded.model(loaded.task.inputs({"image": tf.constant(images)}))
    model = transformers.AutoModelForImageClassification.from_pretrained(tmp_path / "out").eval()
    with torch.no_grad():
        pixels = torch.from_numpy(images.transpose(0, 3, 1, 2) / np.float32(255))
        np.testing.assert_allclose(model(pixels).logits, expected, rtol=1e-4, atol=1e-4)


def test_a_model_without_counterpart(trained_run, tmp_path):
    message = (
        r"the model 'cnn' cannot be written for Hugging Face: transformers has no counterpart of it for the task"
        r" image-classification; expected a decoder \(GPT-2, Llama\), BERT, ViT or a ResNet, as docs/pretrained.md"
    )
    with pytest.raises(UserError, match=message):
        export_huggingface(trained_run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_empty(trained, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty, expected a new or empty folder"):
        export_huggingface(trained, tmp_path)


def test_an_earlier_export_is_overwritten_and_nothing_else(trained, tmp_path):
    out = tmp_path / "out"
    export_huggingface(trained, out)
    first = (out / "model.safetensors").stat().st_ino
    export_huggingface(trained, out, overwrite=True)
    assert (out / "model.safetensors").stat().st_ino != first
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"has 'notes\.txt', which such an export does not write; expected an earlier"):
        export_huggingface(trained, out, overwrite=True)
    assert (out / "notes.txt").read_text() == "mine"


def test_a_model_that_others_saved_is_not_overwritten(trained, tmp_path):
    export_huggingface(trained, tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    del config["tfdl_version"]
    (tmp_path / "out" / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="has no export of tfdl; expected an earlier export of this format"):
        export_huggingface(trained, tmp_path / "out", overwrite=True)


def test_a_field_without_counterpart():
    from tfdl.interop.architectures import architecture_for

    config = TrainConfig(model={"name": "gpt2", "scale_embeddings": True}).model
    message = r"gpt2 has no model\.scale_embeddings=True; llama has no model\.positions=learned"
    with pytest.raises(UserError, match=message):
        architecture_for(config, "language-modeling")
