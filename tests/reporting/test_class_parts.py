"""Classes, confusions and mistakes against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from tests.reporting.made_report import measured, samples
from tfdl.reporting.measuring.class_parts import CONFIDENCE, classes_of, confused_pairs, largest_class
from tfdl.reporting.measuring.measured import Measured
from tfdl.reporting.measuring.measured_findings import measured_findings

NAMES = ("cat", "dog", "eel", "fox")


def finding(of_model, name):
    return next(each for each in measured_findings(of_model, "run") if each.name == name)


def test_against_scikit_learn():
    """Among the classes is one that never occurs."""
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 3, 200)
    predictions = np.where(generator.random(200) < 0.5, labels, generator.integers(0, 3, 200))
    classes = measured(NAMES, labels, predictions).classes
    np.testing.assert_array_equal(classes.counts, confusion_matrix(labels, predictions, labels=range(4)))
    expected = precision_recall_fscore_support(labels, predictions, labels=range(4), zero_division=0)
    for number, scores in enumerate(classes.scores):
        found = (scores.precision, scores.recall, scores.f1, scores.support)
        assert found == pytest.approx([column[number] for column in expected])
    assert classes.num_mistakes == int((labels != predictions).sum())


def test_the_pairs_that_are_confused_most_often():
    counts = np.array([[5, 3, 0, 0], [1, 6, 0, 0], [0, 3, 0, 0], [0, 0, 0, 0]])
    pairs = confused_pairs(counts, NAMES, most=2)
    assert [(pair.label, pair.prediction, pair.count) for pair in pairs] == [("cat", "dog", 3), ("eel", "dog", 3)]
    assert [pair.share for pair in pairs] == [3 / 8, 1.0]
    assert confused_pairs(np.diag([1, 2]), NAMES) == ()


def test_the_mistakes_with_the_largest_confidence():
    rows = {
        "label": np.array([0, 0, 1, 2, 1]),
        "prediction": np.array([1, 0, 2, 0, 0]),
        "loss": np.log([5.0, 1.0, 10.0, 4.0, 2.0]),
        CONFIDENCE: np.array([0.6, 0.99, 0.8, np.nan, 0.7]),
    }
    mistakes = classes_of(rows, NAMES, 2, list).mistakes
    assert [(each.number, each.label, each.prediction, each.confidence) for each in mistakes] == [
        (2, "dog", "eel", 0.8),
        (4, "dog", "cat", 0.7),
    ]
    assert [each.label_probability for each in mistakes] == pytest.approx([0.1, 0.5])


def test_the_largest_class():
    guess = largest_class(np.array([1, 1, 0, 1]), NAMES)
    assert (guess.value, guess.how) == (0.75, "answering 'dog', the largest class")
    assert largest_class(np.array([1, 1]), NAMES) is None


# In sentences


@pytest.mark.parametrize(
    ("num_right", "kind", "better", "words"),
    [
        (90, "good", True, "is better than answering 'cat', the largest class, for every sample (0.6000)."),
        (
            65,
            "warning",
            None,
            "may be no better than answering 'cat', the largest class, for every sample (0.6000): the",
        ),
        (60, "warning", False, "is no better than answering 'cat', the largest class, for every sample (0.6000)."),
        (10, "warning", False, "is no better than"),
    ],
)
def test_better_than_guessing(num_right, kind, better, words):
    """100 samples, 60 of them cats: the interval of 65% contains 60%."""
    labels = np.repeat([0, 1], [60, 40])
    predictions = np.where(np.arange(100) < num_right, labels, 1 - labels)
    found = finding(measured(NAMES, labels, predictions), "guessing")
    assert (found.kind, found.values["better"]) == (kind, better)
    assert words in found.text
    assert found.text.startswith(f"Test accuracy {num_right / 100:.4f} (95% interval ")


def test_the_weakest_class():
    """Of fox there are too few samples to say anything."""
    labels = np.repeat([0, 1, 3], [10, 10, 2])
    predictions = np.repeat([0, 1, 0, 1, 0], [9, 1, 3, 7, 2])
    found = finding(measured(NAMES, labels, predictions), "mistakes")
    assert found.text == (
        "6 of 22 samples are wrong. The most frequent mistake is 'cat' for 'dog', 3 times (30.0% of this class). The"
        " class with the lowest recall is 'dog' (0.7000)."
    )


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["a", "a", "a"], "All 3 translations are the same: the model ignores the source."),
        (["", " ", ""], "All 3 translations are empty: the model ignores the source."),
        (["a"] * 29 + ["b"], "The 30 translations are only 2 different texts, and the references 30"),
        (["a", "b", "c"], None),
    ],
)
def test_translations_that_are_all_the_same(texts, words):
    written = samples(*texts)
    distinct = len({text.strip() for text in texts})
    written = type(written)(**{**vars(written), "num_distinct": distinct, "num_distinct_expected": len(texts)})
    found = list(measured_findings(Measured("test", "step-1", texts=written), "run"))
    assert [each.text.startswith(words) for each in found] == [True] if words else found == []


def test_a_model_that_was_not_measured():
    (found,) = measured_findings(Measured("test", "last", problem="no data set 'x'"), "run")
    assert (found.kind, found.text) == ("warning", "The model was not measured on the test split: no data set 'x'.")
