"""Imported runs are used as trained ones: they predict as transformers does, and can be fine-tuned."""

import json

import numpy as np
import pytest

import tfdl
from tests.interop import published
from tests.interop.published import POSITIONS, torch, transformers
from tfdl.config import compose
from tfdl.interop import export_huggingface, import_model
from tfdl.runs import load_run

TEXTS = ["hello world", "We don't know, café!", "x " * 60]


def test_predictions_of_texts(tmp_path):
    reference = published.bert()
    files = tmp_path / "files"
    reference.save_pretrained(files)
    published.save_wordpiece(files)
    run = import_model(files, tmp_path / "run").run
    tokenizer = transformers.BertTokenizerFast.from_pretrained(files)
    inputs = tokenizer(TEXTS, padding=True, truncation=True, max_length=POSITIONS, return_tensors="pt")
    with torch.no_grad():
        expected = reference(**inputs).logits.softmax(-1).numpy()
    answers = list(tfdl.load(run.path).predict(TEXTS))
    assert [answer["class_name"] for answer in answers] == [("bad", "fine", "good")[row.argmax()] for row in expected]
    np.testing.assert_allclose([answer["probability"] for answer in answers], expected.max(-1), rtol=1e-4)


def test_predictions_of_next_tokens(tmp_path):
    """Of a model whose texts begin with a start token, and whose tokenizer has no form for a graph."""
    tokenizer = published.like_llama3()
    reference = published.llama(vocab_size=tokenizer.get_vocab_size())
    ends = {"bos_token": "<|im_start|>", "eos_token": "<|endoftext|>"}
    files = published.save_language_model(tmp_path / "files", reference, tokenizer, **ends)
    run = import_model(files, tmp_path / "run").run
    ids = transformers.AutoTokenizer.from_pretrained(files)("hello wor", return_tensors="pt").input_ids
    with torch.no_grad():
        expected = reference(ids).logits[0].log_softmax(-1).numpy()
    (answer,) = tfdl.load(run.path).predict(["hello wor"])
    assert answer["tokens"] == ids.shape[1] - 1
    total = sum(expected[position, token] for position, token in enumerate(ids[0, 1:].tolist()))
    assert answer["log_probability"] == pytest.approx(total, rel=1e-4)
    assert [token["id"] for token in answer["next"]] == (-expected[-1]).argsort()[:5].tolist()


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    """A run of a ViT for images of one channel, with a mean and a deviation."""
    folder = tmp_path_factory.mktemp("vit")
    published.vit(num_channels=1).save_pretrained(folder / "files")
    values = {"image_mean": [0.5], "image_std": [0.25]}
    (folder / "files" / "preprocessor_config.json").write_text(json.dumps(values))
    return import_model(folder / "files", folder / "run").run


@pytest.mark.parametrize("low_rank", [False, True])
def test_fine_tuning(vit, low_rank, tmp_path, data_dir):  # noqa: ARG001
    """Pixels are scaled as before, the head is new, and the result can be written for Hugging Face."""
    model = {"lora_rank": 2} if low_rank else {}
    dataset = {"name": "digits", "train_split": "train[:40]", "augmentation": []}
    fields = {"initial_checkpoint": str(vit.path), "model": model, "dataset": dataset, "steps": 2, "batch_size": 8}
    run = tfdl.train(compose(fields), tmp_path / "tuned")
    tuned = load_run(run, merged=True)
    assert tuned.task.scaling == load_run(vit).task.scaling
    assert tuned.task.image_shape == (16, 16, 1)
    assert len(tuned.task.class_names) == 10
    export_huggingface(run, tmp_path / "out")
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 1), np.uint8)
    reference = transformers.AutoModelForImageClassification.from_pretrained(tmp_path / "out").eval()
    pixels = (images.transpose(0, 3, 1, 2) / np.float32(255) - np.float32(0.5)) / np.float32(0.25)
    with torch.no_grad():
        expected = reference(torch.from_numpy(pixels)).logits.numpy()
    np.testing.assert_allclose(tuned.model(tuned.task.inputs({"image": images})), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("tokenizer", [published.byte_level, published.like_llama3])
def test_fine_tuning_of_a_language_model(tokenizer, tmp_path, data_dir):  # noqa: ARG001
    """The run has the imported tokenizer, whether tfdl computes it or Hugging Face's library does."""
    reference = published.llama(vocab_size=tokenizer().get_vocab_size())
    files = published.save_language_model(tmp_path / "files", reference, tokenizer(), eos_token="<|endoftext|>")
    imported = import_model(files, tmp_path / "imported").run
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"hello world number {n}\n\n" for n in range(100)), encoding="utf-8")
    fields = {"initial_checkpoint": str(imported.path), "dataset": str(texts), "steps": 2, "model": {"lora_rank": 2}}
    fields["xla"] = "off"
    run = tfdl.train(compose(fields), tmp_path / "tuned")
    assert load_run(run).task.tokenizer.encode("hello wor") == load_run(imported).task.tokenizer.encode("hello wor")
    export_huggingface(run, tmp_path / "out")
    ids = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")("hello wor", return_tensors="pt").input_ids
    tuned = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    with torch.no_grad():
        expected = tuned(ids).logits.numpy()
    np.testing.assert_allclose(load_run(run, merged=True).model(ids.numpy()), expected, rtol=1e-4, atol=1e-4)
