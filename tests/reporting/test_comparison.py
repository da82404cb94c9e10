"""Several runs side by side."""

import numpy as np
import pytest

from tests.reporting.made_report import measured, reported
from tests.reporting.made_run import CONFIG
from tfdl.reporting.comparison import ABSENT, compare
from tfdl.reporting.comparison_findings import comparison_findings

NAMES = ("cat", "dog")


def run(folder, letter, num_right=None, *, config=CONFIG, labels=None, **changes):
    """A run that has the first samples right; recorded only without a number."""
    of_model = None
    if num_right is not None:
        labels = np.arange(200) % 2 if labels is None else labels
        of_model = measured(NAMES, labels, np.where(np.arange(len(labels)) < num_right, labels, 1 - labels))
    made = reported(folder, letter, of_model, **changes)
    made.facts.run.config_path.write_text(config)
    return reported(folder, letter, of_model)


def test_changes_have_an_interval_on_the_same_samples(tmp_path):
    runs = [run(tmp_path / "a", "A", 100), run(tmp_path / "b", "B", 102), run(tmp_path / "c", "C", 150)]
    comparison = compare(runs, "test")
    changes = {(each.metric, each.run.letter): each for each in comparison.changes}
    assert changes["accuracy", "B"].value == pytest.approx(0.01)
    assert not changes["accuracy", "B"].is_certain
    assert changes["accuracy", "C"].is_certain
    assert changes["accuracy", "C"].is_better is True
    assert changes["loss", "C"].is_better is True
    assert changes["loss", "C"].interval.high < 0
    assert comparison.best == {"accuracy": ("C",), "loss": ("C",)}
    assert comparison.metrics[0] == "accuracy"  # the main metric first
    assert comparison.notes == ()
    texts = [finding.text for finding in comparison_findings(runs, comparison)]
    assert texts[0] == "C (c) has the best test accuracy, 0.7500."
    assert texts[1].startswith("B (b) changes test accuracy by +0.0100 from A (95% interval ")
    assert texts[1].endswith("): this may be chance.")
    assert texts[2].endswith("): more than chance.")


def test_other_samples_have_no_interval(tmp_path):
    runs = [run(tmp_path / "a", "A", 100), run(tmp_path / "b", "B", 102, labels=np.ones(200, int))]
    comparison = compare(runs, "test")
    assert [each.interval for each in comparison.changes] == [None, None]
    assert "The samples of the test split are not the same for all runs" in comparison.notes[0]


def test_recorded_results_have_no_interval(tmp_path):
    runs = [run(tmp_path / "a", "A"), run(tmp_path / "b", "B", test={"loss": 0.1, "accuracy": 0.5})]
    comparison = compare(runs, "test")
    assert [each.interval for each in comparison.changes] == [None, None]
    assert comparison.best == {"loss": ("B",), "accuracy": ()}  # equal accuracies: none is the best


def test_keys_that_differ(tmp_path):
    other = CONFIG.replace("learning_rate: 0.001", "learning_rate: 0.1").replace("  amsgrad: false\n", "")
    comparison = compare([run(tmp_path / "a", "A"), run(tmp_path / "b", "B", config=other)], "test")
    assert {each.key: each.values for each in comparison.settings} == {
        "optimizer.learning_rate": (0.001, 0.1),
        "optimizer.amsgrad": (False, ABSENT),
    }


def test_runs_of_other_tasks(tmp_path):
    language = {"task": "language-modeling", "test": {"loss": 1.0, "perplexity": 2.7, "accuracy": 0.3}}
    comparison = compare([run(tmp_path / "a", "A"), run(tmp_path / "b", "B", **language)], "test")
    assert comparison.metrics == ("accuracy",)
    assert comparison.notes[0].startswith("The runs have different tasks (image-classification, language-modeling).")


def test_losses_of_other_tokens_are_not_compared(tmp_path):
    results = {"test": {"loss": 1.0, "perplexity": 2.7, "bits_per_byte": 1.5}}
    configs = [CONFIG.replace("tokenizer: null", f"tokenizer: {{name: {name}}}") for name in ("byte", "character")]
    runs = [run(tmp_path / name, name, config=config, **results) for name, config in zip("AB", configs, strict=True)]
    comparison = compare(runs, "test")
    assert comparison.metrics == ("bits_per_byte",)
    assert comparison.notes == (
        "The runs have different tokens, so losses and perplexities of tokens are not compared.",
    )


def test_runs_without_results(tmp_path):
    comparison = compare([run(tmp_path / "a", "A", test={}), run(tmp_path / "b", "B", test={})], "test")
    assert (comparison.metrics, comparison.changes) == ((), ())
    assert comparison.notes == ("Without results on the test split: A, B.",)


def test_runs_of_other_data(tmp_path):
    comparison = compare([run(tmp_path / "a", "A"), run(tmp_path / "b", "B", dataset="mnist")], "test")
    assert comparison.notes == (
        "The runs have different data sets (digits, mnist), so they have no samples in common.",
    )
