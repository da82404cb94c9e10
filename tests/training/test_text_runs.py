"""Whole runs on texts: what they learn, resuming within an epoch, evaluation, and SavedModels that take strings."""

import json

import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.config import compose
from tfdl.errors import UserError
from tfdl.runs import load_run

pytestmark = pytest.mark.slow

SMALL = {"model.num_layers": 1, "model.hidden_dim": 32, "model.num_heads": 2, "optimizer.learning_rate": 0.005}


@pytest.fixture(scope="module")
def reversals(tmp_path_factory):
    """Pairs of three letters and the same letters in reverse order, in capitals."""
    letters = np.random.default_rng(0).choice(list("abcdefghijklmnop"), (3500, 3))
    rows = dict.fromkeys(f"{a}{b}{c}\t{(c + b + a).upper()}" for a, b, c in letters)
    path = tmp_path_factory.mktemp("reversals") / "pairs.tsv"
    path.write_text("\n".join(["source\ttarget", *rows]) + "\n")
    return path


@pytest.fixture(scope="module")
def configs(reversals):
    """A small run of each task."""
    pairs = {"task": "translation", "dataset.name": str(reversals), "dataset.sequence_length": 8}
    texts = {"task": "text-classification", "model": "transformer", "dataset.sequence_length": 64}
    return {
        "translation": compose(pairs, SMALL, {"tokenizer": "character", "batch_size": 16, "epochs": 3}),
        "text-classification": compose(texts, SMALL, {"tokenizer": {"name": "bpe", "vocab_size": 2000}, "epochs": 4}),
    }


@pytest.fixture(scope="module")
def runs(configs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return {task: tfdl.train(config, folder / task) for task, config in configs.items()}


def test_a_translator_learns_its_rule(runs):
    test = runs["translation"].read_summary()["test"]
    assert list(test) == ["loss", "perplexity", "token_accuracy", "exact_match", "bleu", "chrf"]
    assert test["exact_match"] > 0.9
    assert test["chrf"] > 90


def test_a_classifier_of_texts_learns(runs):
    summary = runs["text-classification"].read_summary()
    assert summary["test"]["accuracy"] > 0.6
    assert {"loss", "top_5_accuracy", "precision", "recall", "f1", "auc"} < set(summary["test"])
    assert summary["task"] == "text-classification"
    assert {"validation", "weights_sha256", "examples_per_second", "dataset", "parameters"} < set(summary)


@pytest.mark.parametrize("task", ["translation", "text-classification"])
def test_evaluation_gives_the_summary_s_numbers(runs, task):
    summary = runs[task].read_summary()
    for split in ("validation", "test"):
        assert tfdl.evaluate(runs[task], split) == summary[split]


def test_a_few_translations_are_shown(runs):
    from tfdl.evaluation import evaluate_in_detail

    details = evaluate_in_detail(runs["translation"]).details
    assert len(details["examples"]) == 5
    for example in details["examples"]:
        assert example["target"] == example["source"][::-1].upper()
        assert set(example) == {"source", "target", "translation"}
    json.dumps(details)


SHORT = {
    "rnn": {
        "task": "text-classification", "tokenizer": "byte", "dataset.sequence_length": 24, "model.units": 8,
        "model.dropout": 0.2,
    },
    "transformer": {"task": "translation", "model.num_layers": 1, "model.hidden_dim": 16, "model.num_heads": 2,
                    "model.dropout": 0.2},
}  # fmt: skip


def test_a_run_that_stops_within_an_epoch_continues_to_the_same_weights(tmp_path):
    """Batches by length, dropout and the epoch's running sums continue where they stopped."""
    check_a_stopped_run("rnn", tmp_path)


def check_a_stopped_run(family, tmp_path):

    def train(folder, steps, **more):
        config = compose(
            SHORT[family],
            {"optimizer.schedule": "constant", "steps": steps, "steps_per_execution": 4, "model.name": family},
            {"dataset.train_split": "train[:600]", "dataset.validation_split": "validation[:40]",
             "dataset.test_split": "test[:40]"},
        )  # fmt: skip
        return tfdl.train(config, tmp_path / folder, **more)

    straight = train("straight", 13)  # ten steps an epoch
    train("stopped", 4)
    resumed = train("stopped", 13, resume=True)
    for name in ("weights_sha256", "validation", "test"):
        assert resumed.read_summary()[name] == straight.read_summary()[name]


def exported(run, folder):
    written = tfdl.export_saved_model(run, folder)  # compares it with the model in a process without tfdl
    assert written.largest_difference <= 1e-4
    graph = (written.path / "saved_model.pb").read_bytes()
    assert not [name for name in (b"Horovod", b"PyFunc") if name in graph]
    return written, tf.saved_model.load(str(written.path)).signatures["serving_default"]


def test_a_translator_is_served_with_strings(runs, tmp_path):
    written, serve = exported(runs["translation"], tmp_path)
    assert written.inputs == {"source": ("string", "(any)")}
    assert written.outputs == {"target": ("string", "(any)"), "log_probability": ("float32", "(any)")}
    first, _, third = serve(source=tf.constant(["abc", "ponm", "hag"]))["target"].numpy()
    assert (first, third) == (b"CBA", b"GAH")
    assert serve(source=tf.constant([], tf.string))["target"].shape == (0,)
    loaded = load_run(runs["translation"])
    expected = loaded.task.serve(loaded.model, tf.constant(["abc"]))["log_probability"]
    np.testing.assert_allclose(serve(source=tf.constant(["abc"]))["log_probability"], expected, atol=1e-4)


def test_a_classifier_is_served_with_strings(runs, tmp_path):
    written, serve = exported(runs["text-classification"], tmp_path)
    assert written.inputs == {"text": ("string", "(any)")}
    docstrings = ["Return the event loop policy of the current task.", "ELEMENT attributes in XML"]
    answers = serve(text=tf.constant(docstrings))
    assert answers["class_name"].numpy()[0] == b"asyncio"
    np.testing.assert_allclose(np.sum(answers["probabilities"], 1), 1, rtol=1e-5)


def test_files_that_have_changed_since_the_run(runs, reversals):
    """Evaluating the run reports a column that is no longer in the file."""
    original = reversals.read_text()
    reversals.write_text(original.replace("target", "goal", 1).replace("source", "origin", 1))
    try:
        with pytest.raises(UserError, match="source"):
            tfdl.evaluate(runs["translation"])
    finally:
        reversals.write_text(original)
