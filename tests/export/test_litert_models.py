"""Every model family and task as a LiteRT file, whose answers are the model's, or refused with the reason."""

import json

import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tests.export.small_models import BYTES, MODELS, NAMES, small_run
from tfdl.errors import UserError
from tfdl.runs import load_run

CLASS_OUTPUTS = {"logits", "probabilities", "class_id"}
LONGEST = 12
# The others have the same layers.
NAMES_OF_MODELS = (
    "cnn", "resnet-identity", "vit-class-token", "encoder", "gru-both-ways", "simple-texts", "gpt2", "llama", "lstm",
    "gru", "translation",
)  # fmt: skip
# A run in mixed precision is written in float32.
CHANGES = {"resnet-identity": {"precision": "mixed_bfloat16"}}
REFUSED = {"translation": "a model of translation writes texts in a loop whose length is not known, which LiteRT"}


def runner_of(path):
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_path=str(path / "model.tflite")).get_signature_runner("serving_default")


@pytest.mark.parametrize("name", NAMES_OF_MODELS)
@pytest.mark.usefixtures("quickly")
def test_each_family_and_task(name, tmp_path):
    run = small_run(name, tmp_path / "run", CHANGES.get(name))
    if name in REFUSED:
        with pytest.raises(UserError, match=REFUSED[name]):
            tfdl.export_litert(run, tmp_path / "out")
        assert not (tmp_path / "out").exists()
        return
    exported = tfdl.export_litert(run, tmp_path / "out")
    assert 0 <= exported.largest_difference <= 1e-4
    assert exported.compared >= 8
    takes_one_row = next(iter(exported.inputs.values())).shape[0] == 1
    note = "the file takes one row at a time; LiteRT has the lists of its loops for a known number of rows only"
    assert (note in exported.notes) == takes_one_row
    assert exported.size == (exported.path / "model.tflite").stat().st_size
    kind, _ = MODELS[name]
    check = {"images": check_images, "texts": check_texts}.get(kind, check_language)
    check(exported, load_run(run, precision="float32"))


def check_images(exported, loaded):
    assert set(exported.outputs) == CLASS_OUTPUTS
    assert exported.inputs["image"].shape == [None, 8, 8, 3]
    images = np.random.default_rng(1).integers(0, 256, (3, 8, 8, 3), np.uint8)
    answers = runner_of(exported.path)(image=images)
    logits = loaded.model(loaded.task.inputs({"image": images})).numpy()
    np.testing.assert_allclose(answers["logits"], logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(answers["class_id"], logits.argmax(1))
    assert (exported.path / "labels.txt").read_text(encoding="utf-8").splitlines() == list(NAMES)


def check_texts(exported, loaded):
    """A text has the same answer with and without padding, alone and beside others."""
    assert set(exported.outputs) == CLASS_OUTPUTS
    rows, length = exported.inputs["token_ids"].shape
    assert length is None
    runner = runner_of(exported.path)
    text = np.random.default_rng(1).integers(1, 200, (1, 5), np.int32)
    padded = np.pad(text, [[0, 0], [0, LONGEST - 5]])
    expected = tf.nn.softmax(loaded.model(text)).numpy()
    for tokens in (text, padded):
        np.testing.assert_allclose(runner(token_ids=tokens)["probabilities"], expected, atol=1e-5)
    if rows is None:
        both = runner(token_ids=np.concatenate([padded[:, ::-1], padded]))["probabilities"]
        np.testing.assert_allclose(both[1:], expected, atol=1e-5)
    description = json.loads((exported.path / "tfdl.json").read_text())
    assert description["tokens"] == {
        "start_id": 1, "end_id": 2, "pad_id": 0, "longest": LONGEST, "before": 1, "after": None
    }  # fmt: skip
    BYTES.save(exported.path.parent)
    assert (exported.path / "vocabulary.json").read_bytes() == (exported.path.parent / "tokenizer.json").read_bytes()


def check_language(exported, loaded):
    """A text in two parts has the same logits as in one, if the file has a state."""
    runner = runner_of(exported.path)
    tokens = np.random.default_rng(1).integers(0, 200, (1, 9), np.int32)
    expected = loaded.model(tokens).numpy()
    states = {
        name: np.zeros([1, spec.shape[1]], np.float32) for name, spec in exported.inputs.items() if name != "token_ids"
    }
    if not states:
        assert exported.inputs["token_ids"].shape == [None, None]
        np.testing.assert_allclose(runner(token_ids=tokens)["logits"], expected, rtol=1e-4, atol=1e-5)
        return
    first = runner(token_ids=tokens[:, :4], **states)
    states = {name: first[f"next_{name}"] for name in states}
    second = runner(token_ids=tokens[:, 4:], **states)
    found = np.concatenate([first["logits"], second["logits"]], 1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
