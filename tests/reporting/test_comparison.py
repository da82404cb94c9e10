"""Several runs side by side."""

import dataclasses

import numpy as np
import pytest

from tests.reporting.made_report import measured, page_of, reported
from tests.reporting.made_run import CONFIG
from tfdl.reporting.comparison import ABSENT, compare
from tfdl.reporting.comparison_findings import comparison_findings
from tfdl.reporting.data_sets import data_set_key
from tfdl.reporting.measuring.measured import Measured, Scores

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


LANGUAGE = {"task": "language-modeling", "test": {"loss": 1.0, "perplexity": 2.7, "accuracy": 0.3}}


def test_runs_of_other_tasks(tmp_path):
    """The accuracy of a language model is one of tokens."""
    comparison = compare([run(tmp_path / "a", "A"), run(tmp_path / "b", "B", **LANGUAGE)], "test")
    assert comparison.metrics == ()
    assert comparison.notes[0].startswith("The runs have different tasks (image-classification, language-modeling).")


def test_classifiers_of_other_tasks(tmp_path):
    runs = [run(tmp_path / "a", "A"), run(tmp_path / "b", "B", task="text-classification")]
    assert compare(runs, "test").metrics == ("accuracy",)


def test_metrics_of_other_tokens_are_not_compared(tmp_path):
    results = {**LANGUAGE, "test": {**LANGUAGE["test"], "bits_per_byte": 1.5}}
    configs = [CONFIG.replace("tokenizer: null", f"tokenizer: {{name: {name}}}") for name in ("byte", "character")]
    runs = [run(tmp_path / name, name, config=config, **results) for name, config in zip("AB", configs, strict=True)]
    comparison = compare(runs, "test")
    assert comparison.metrics == ("bits_per_byte",)
    assert comparison.notes == (
        "The runs have different tokens, so losses, perplexities and accuracies of tokens are not compared.",
    )
    same = [run(tmp_path / f"same-{name}", name, config=configs[0], **results) for name in "AB"]
    assert compare(same, "test").metrics == ("perplexity", "loss", "accuracy", "bits_per_byte")


def language_model(folder, letter, losses, key="text"):
    """A run of a language model of windows with ten tokens, and two characters a token."""
    loss = float(np.mean(losses)) / 10
    of_model = Measured(
        "test",
        "step-00000460",
        metrics={"loss": loss, "perplexity": float(np.exp(loss)), "bits_per_character": loss / 2 / np.log(2)},
        scores={"loss": Scores(losses, np.full(len(losses), 10))},
        data_key=key,
        token_key=("tokenizer", key),
    )
    return reported(folder, letter, of_model, **LANGUAGE)


def test_language_models_get_a_verdict(tmp_path):
    """A perplexity is e to the power of the loss, and bits are a multiple of it."""
    losses = np.random.default_rng(0).normal(20, 1, 100)
    noise = np.random.default_rng(1).normal(0, 1, 100)
    runs = [language_model(tmp_path / "a", "A", losses), language_model(tmp_path / "b", "B", losses - 1 + noise)]
    runs.append(language_model(tmp_path / "c", "C", losses + noise / 10))
    changes = {(each.metric, each.run.letter): each for each in compare(runs, "test").changes}
    for letter, is_certain in (("B", True), ("C", False)):
        of_loss, of_perplexity = changes["loss", letter], changes["perplexity", letter]
        assert of_loss.is_certain == of_perplexity.is_certain == is_certain
        assert of_perplexity.interval.value == pytest.approx(of_perplexity.value)
        first = runs[0].measured.metrics["perplexity"]
        assert of_perplexity.interval.low == pytest.approx(first * (np.exp(of_loss.interval.low) - 1))
        assert of_perplexity.interval.high == pytest.approx(first * (np.exp(of_loss.interval.high) - 1))
        bits = changes["bits_per_character", letter]
        assert bits.interval.low == pytest.approx(of_loss.interval.low / 2 / np.log(2))
        assert bits.interval.value == pytest.approx(bits.value)


def test_language_models_of_other_windows_get_none(tmp_path):
    losses = np.arange(20.0)
    runs = [language_model(tmp_path / "a", "A", losses), language_model(tmp_path / "b", "B", losses + 1, "other")]
    assert {each.interval for each in compare(runs, "test").changes} == {None}


def test_recorded_results_are_not_compared_with_measured_ones(tmp_path):
    """The weights of B are damaged, so its results are those of its last step."""
    damaged = Measured("test", "step-00000115", problem="a file is damaged")
    of_last_step = reported(tmp_path / "b", "B", damaged, test={"accuracy": 0.99, "loss": 0.01})
    runs = [run(tmp_path / "a", "A", 100), of_last_step, run(tmp_path / "c", "C", 150)]
    comparison = compare(runs, "test")
    assert comparison.recorded == ("B",)
    assert comparison.best["accuracy"] == ("C",)
    assert {each.run.letter for each in comparison.changes} == {"C"}
    assert comparison.notes == (
        "Not measured: B. Recorded results, of the last step, are shown but not compared with measured ones.",
    )
    texts = [finding.text for finding in comparison_findings(runs, comparison)]
    assert texts[1] == "C (c) has the best test accuracy, 0.7500."
    page = page_of(*runs)
    assert page.count("<small>recorded, last step</small>") == len(comparison.metrics) == 2
    # All are compared with the first one, which is none now.
    assert compare([runs[1], runs[0], runs[2]], "test").changes == ()
    # Recorded results are compared with recorded ones.
    both = [runs[1], reported(tmp_path / "d", "D", damaged, test={"accuracy": 0.5})]
    assert compare(both, "test").best == {"accuracy": ("B",)}


def test_values_that_are_nan_are_not_compared(tmp_path):
    runs = [
        run(tmp_path / name, letter, num_right)
        for name, letter, num_right in zip("abc", "ABC", (100, 120, 150), strict=True)
    ]
    for first in range(3):
        broken = runs[first].measured
        metrics = {**broken.metrics, "loss": np.nan}
        changed = [*runs]
        changed[first] = dataclasses.replace(runs[first], measured=dataclasses.replace(broken, metrics=metrics))
        comparison = compare(changed, "test")
        assert comparison.best["loss"] == (("C",) if first < 2 else ("B",))
        assert all(np.isfinite(each.value) for each in comparison.changes)
        assert len(comparison.changes) == (2 if first == 0 else 3)


def test_the_same_run_twice(tmp_path):
    runs = [run(tmp_path / "a", "A"), reported(tmp_path / "a" / ".." / "a", "B"), run(tmp_path / "c", "C")]
    assert compare(runs, "test").notes == ("A and B are the same run.",)


def test_runs_without_results(tmp_path):
    comparison = compare([run(tmp_path / "a", "A", test={}), run(tmp_path / "b", "B", test={})], "test")
    assert (comparison.metrics, comparison.changes) == ((), ())
    assert comparison.notes == ("Without results on the test split: A, B.",)


def test_runs_of_other_data(tmp_path):
    """None is called better than another one."""
    runs = [run(tmp_path / "a", "A"), run(tmp_path / "b", "B", dataset="mnist", test={"accuracy": 0.9})]
    comparison = compare(runs, "test")
    assert comparison.notes == (
        "The runs have different data sets (digits, mnist). They may have no samples in common, so none is called the"
        " best.",
    )
    assert comparison.best == {"accuracy": ()}
    assert [(each.value, each.is_better) for each in comparison.changes] == [(pytest.approx(0.4), None)]
    assert not any("best test" in finding.text for finding in comparison_findings(runs, comparison))
    assert 'class="n best"' not in page_of(*runs)


@pytest.mark.parametrize(("other", "is_same"), [("{here}/photos", True), ("./photos", True), ("texts", False),
                                                ("~no_such_user/photos", False), ("a" * 5000, False)])  # fmt: skip
def test_paths_of_one_data_set(tmp_path, monkeypatch, other, is_same):
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    runs = [run(tmp_path / "a", "A", dataset="photos"),
            run(tmp_path / "b", "B", dataset=other.format(here=tmp_path))]  # fmt: skip
    assert (compare(runs, "test").notes == ()) == is_same


def test_a_declared_data_set_is_no_path(tmp_path, monkeypatch):
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    assert data_set_key("digits") == "digits" != data_set_key("./digits")
