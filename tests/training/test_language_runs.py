"""Whole runs of language models: they learn, repeat, and are resumed within an epoch bit for bit."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.data.opening import open_texts
from tfdl.errors import UserError
from tfdl.runs import load_run

MODELS = ("rnn", "transformer")


def epochs(run):
    rows = [json.loads(line) for line in run.metrics_path.read_text().splitlines()]
    return [row for row in rows if row["kind"] == "epoch"]


@pytest.fixture(scope="module", params=MODELS)
def straight(request, tiny_language, tmp_path_factory):
    """Two epochs without a stop."""
    return request.param, tfdl.train(tiny_language(request.param), tmp_path_factory.mktemp("straight") / "run")


def test_the_summary(straight):
    model, run = straight
    found = run.read_summary()
    assert (found["model"], found["task"], found["dataset"]) == (model, "language-modeling", "python_topics")
    assert (found["epochs"], found["steps"]) == (2, 44)
    for split in ("validation", "test"):
        assert list(found[split]) == ["loss", "perplexity", "accuracy", "bits_per_character"]
        assert found[split]["perplexity"] == pytest.approx(np.exp(found[split]["loss"]))
        assert found[split]["bits_per_character"] == pytest.approx(found[split]["loss"] / np.log(2))
    assert list(epochs(run)[0]["train"]) == ["loss", "perplexity", "accuracy"]


def test_evaluation_repeats_the_summary(straight):
    _, run = straight
    assert tfdl.evaluate(run) == run.read_summary()["test"]
    assert tfdl.evaluate(run, "validation") == run.read_summary()["validation"]


@pytest.mark.parametrize("stop", [22, 27])  # at the first epoch's end, within the second
def test_a_run_resumed_at_any_step_is_the_straight_run(straight, tiny_language, tmp_path, stop):
    model, expected = straight
    part = tfdl.train(tiny_language(model, steps=stop), tmp_path / "run")
    last = part.checkpoint()
    assert (last / "carried.safetensors").exists() == (model == "rnn" and stop == 27)
    found = tfdl.train(tiny_language(model), part.path, resume=True)
    for key in ("weights_sha256", "test", "validation"):
        assert found.read_summary()[key] == expected.read_summary()[key]
    assert epochs(found)[-1]["train"]["loss"] == pytest.approx(epochs(expected)[-1]["train"]["loss"], rel=1e-12)


def test_without_the_carried_state_it_is_another_run(tiny_language, tmp_path):
    """The control: the state changes the weights."""
    part = tfdl.train(tiny_language("rnn", steps=3), tmp_path / "run")
    copy = shutil.copytree(part.path, tmp_path / "copy", symlinks=True)
    last = part.checkpoint()
    (last / "carried.safetensors").unlink()
    manifest = json.loads((last / "manifest.json").read_text())
    del manifest["sha256"]["carried.safetensors"]
    (last / "manifest.json").write_text(json.dumps(manifest))
    without_state = tfdl.train(tiny_language("rnn", steps=5), part.path, resume=True).read_summary()
    with_state = tfdl.train(tiny_language("rnn", steps=5), copy, resume=True).read_summary()
    assert without_state["weights_sha256"] != with_state["weights_sha256"]


def test_a_damaged_state_is_an_error(tiny_language, tmp_path):
    part = tfdl.train(tiny_language("rnn", steps=2), tmp_path / "run")
    file = part.checkpoint() / "carried.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\xff")
    with pytest.raises(tfdl.RunError, match=r"is damaged: carried\.safetensors differs from its manifest"):
        tfdl.train(tiny_language("rnn"), part.path, resume=True)


def test_pieces_of_a_batch_are_the_whole_batch(tiny_language, tmp_path):
    """Of a model whose carried state is cut, too."""
    plain = {"model.dropout": 0.0, "precision": "float64"}
    whole = tfdl.train(tiny_language("rnn", plain, steps=25), tmp_path / "whole").read_summary()
    cut = {**plain, "batch_size": 8, "accumulation_steps": 4}
    pieces = tfdl.train(tiny_language("rnn", cut, steps=25), tmp_path / "pieces").read_summary()
    assert pieces["test"]["loss"] == pytest.approx(whole["test"]["loss"], rel=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_it_learns(tiny_language, tmp_path, model):
    """The loss falls below the entropy of single characters, which a model without context can reach."""
    wide = {"rnn": "model.units", "transformer": "model.hidden_dim"}
    run = tfdl.train(tiny_language(model, {wide[model]: 32}, epochs=10), tmp_path / "run")
    _, counts = np.unique(list("".join(texts(run, "train"))), return_counts=True)
    entropy = -np.sum(counts / counts.sum() * np.log(counts / counts.sum()))
    assert tfdl.evaluate(run, "train")["loss"] < 0.88 * entropy
    losses = [row["train"]["loss"] for row in epochs(run)]
    assert losses == sorted(losses, reverse=True)


def texts(run, split):
    return [row["text"] for row in open_texts(run.read_config().dataset, ("text",)).splits[split]]


# Serving


@pytest.fixture(scope="module")
def exported(straight, tmp_path_factory):
    return straight[1], tfdl.export_saved_model(straight[1], tmp_path_factory.mktemp("exported") / "model")


def test_a_saved_model_takes_and_returns_strings(exported):
    _, written = exported
    assert written.inputs == {"text": ("string", "(any)")}
    assert written.outputs["next_token"] == ("string", "(any, 5)")
    assert written.largest_difference < 1e-4
    asked = np.array([b"The ", b"", "caf\u00e9 \u4e2d".encode(), b"x" * 100])
    served = tf.saved_model.load(str(written.path)).signatures
    scores = served["score"](text=tf.constant(asked))
    found = {name: value.numpy() for name, value in served["serving_default"](text=tf.constant(asked)).items()}
    assert set(scores) == {"tokens", "log_probability", "perplexity"}
    for name, value in scores.items():
        np.testing.assert_array_equal(value, found[name])
    assert found["tokens"].tolist() == [4, 0, 6, 100]
    assert found["perplexity"][1] == 1
    assert np.allclose(np.log(found["perplexity"][[0, 2, 3]]) * [4, 6, 100], -found["log_probability"][[0, 2, 3]], 1e-4)
    assert (np.diff(found["next_probability"], axis=1) <= 0).all()


def test_answers_are_the_model_s(exported):
    """Token by token, by hand; texts are longer and shorter than the model's window of 16."""
    run, _ = exported
    loaded = load_run(run)
    tokenizer = loaded.task.tokenizer
    model = loaded.model
    texts = ["Some", "A text of many more than sixteen characters, for windows.", "a"]
    found = loaded.task.serve(model, tf.constant(texts))
    window = None if loaded.task.carries_state else 16
    for number, text in enumerate(texts):
        answer = {name: values[number].numpy() for name, values in found.items()}
        tokens = [tokenizer.end_id, *tokenizer.encode(text)]
        total = 0.0
        for target in range(1, len(tokens)):
            begin = 0 if window is None else (target - 1) // window * window
            logits = model(np.array([tokens[begin:target]]))[0, -1]
            total += float(tf.nn.log_softmax(logits)[tokens[target]])
        assert float(answer["log_probability"]) == pytest.approx(total, rel=1e-4)
        last = tokens if window is None else tokens[-window:]
        probabilities = tf.nn.softmax(model(np.array([last]))[0, -1]).numpy()
        best = np.argsort(-probabilities)[:5]
        assert answer["next_id"].tolist() == best.tolist()
        np.testing.assert_allclose(answer["next_probability"], probabilities[best], rtol=1e-4)
        next_tokens = [token.decode() for token in answer["next_token"]]
        assert next_tokens == [tokenizer.decode([token_id]) for token_id in best]


def test_no_text_and_no_answer(exported):
    module = tf.saved_model.load(str(exported[1].path))
    found = module.signatures["serving_default"](text=tf.constant([], tf.string))
    assert found["next_token"].shape == (0, 5)
    assert found["log_probability"].shape == (0,)


def test_a_served_text_scores_as_it_is_evaluated(exported):
    """A split of one text: the served log-probability, and the end that is counted besides, make the split's loss."""
    run, _ = exported
    loaded = load_run(run)
    (text,) = texts(run, "validation")
    found = loaded.task.serve(loaded.model, tf.constant([text]))
    tokens = int(found["tokens"][0])
    assert tokens == len(text)
    measured = run.read_summary()["validation"]["loss"] * (tokens + 1)
    end = measured + float(found["log_probability"][0])
    assert 0 < end < 20


# Impossible settings


@pytest.mark.parametrize(
    ("model", "changes", "message"),
    [
        (
            "transformer",
            {"dataset.sequence_length": 65},
            r"dataset\.sequence_length=65, but the model 'transformer' has 64 learned positions; expected at most 64,"
            r" or --set model\.sequence_length=65",
        ),
        (
            "rnn",
            {"batch_size": 700},
            r"batch_size=700, but 'python_topics' has 691 training windows of 16 tokens; expe",
        ),
        ("rnn", {"dataset.text_column": "txt"}, r"'txt'.*text"),
        ("rnn", {"model.bidirectional": True}, r"model\.bidirectional=True in a language model"),
    ],
)
def test_impossible_settings_end_in_one_line(tiny_language, tmp_path, model, changes, message):
    with pytest.raises(UserError, match=message):
        tfdl.train(tiny_language(model, changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_rotary_positions_have_no_limit(tiny_language, tmp_path):
    """Rotary and sinusoidal positions are as long as the windows."""
    changes = {"model.positions": "rotary", "model.sequence_length": 8}
    run = tfdl.train(tiny_language("transformer", changes, steps=2), tmp_path / "run")
    assert run.read_summary()["steps"] == 2
