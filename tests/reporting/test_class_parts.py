"""Classes, confusions and mistakes against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from tests.reporting.made_report import measured, samples
from tfdl.reporting.measuring.class_parts import CONFIDENCE, class_guess, classes_of, confused_pairs
from tfdl.reporting.measuring.measured import Guess, Measured
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
    guess = class_guess(np.array([1, 1, 0, 1]), NAMES)
    assert (guess.value, guess.how) == (0.75, "answering 'dog', the largest class")
    assert class_guess(np.array([1, 1]), NAMES) is None


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
    assert found.text.startswith(f"Test accuracy {num_right / 100:.4f} (step 460, 95% interval ")


LOWEST = "Of the classes with at least 5 samples,"


@pytest.mark.parametrize(
    ("labels", "predictions", "words"),
    [
        # Of fox there are too few samples to say anything.
        (([0, 1, 3], [10, 10, 2]), ([0, 1, 0, 1, 0], [9, 1, 3, 7, 2]), (
            "6 of 22 samples are wrong. The most frequent mistake is 'cat' for 'dog', 3 times (30.0% of this class)."
            f" {LOWEST} 'dog' has the lowest recall (0.7000).")),
        # Two classes have no right answer at all, and as many wrong ones.
        (([0, 1, 2], [5, 5, 5]), ([0, 2, 1], [5, 5, 5]), (
            "10 of 15 samples are wrong. The most frequent mistake is 'eel' for 'dog', 5 times (100% of this class);"
            " 1 other pair of classes is confused as often."
            f" {LOWEST} 2 have the lowest recall (0.0000): 'dog', 'eel'.")),
        # All recalls are equal, and all classes are too small.
        (([0, 1], [5, 5]), ([0, 1, 0, 1], [4, 1, 1, 4]), (
            "2 of 10 samples are wrong. No two classes are confused more than once.")),
        (([0, 1], [2, 1]), ([1, 1], [2, 1]), (
            "2 of 3 samples are wrong. The most frequent mistake is 'dog' for 'cat', 2 times (100% of this class).")),
        (([0], [1]), ([1], [1]), "1 of 1 sample is wrong. No two classes are confused more than once."),
    ],
)  # fmt: skip
def test_mistakes_in_a_sentence(labels, predictions, words):
    found = finding(measured(NAMES, np.repeat(*labels), np.repeat(*predictions)), "mistakes")
    assert found.text == words
    assert found.values["checkpoint"] == "step-00000460"


def test_more_mistakes_of_one_frequency_than_are_listed():
    """20 classes, of each of which two samples are answered as the next class."""
    labels = np.repeat(np.arange(20), 2)
    found = finding(measured([f"c{number}" for number in range(20)], labels, (labels + 1) % 20), "mistakes")
    assert "; 14 or more other pairs of classes are confused as often." in found.text


def test_names_of_classes_in_a_sentence():
    """Not as Python would write them."""
    labels = np.repeat([0, 1], [10, 10])
    found = finding(measured(["C:\\new", "it's\na dog"], labels, 1 - labels), "mistakes")
    assert "'it's a dog' for 'C:\\new', 10 times" in found.text


def test_pairs_of_many_classes_take_little_memory():
    """The matrix is mostly zeros. Sorting it would take several times its memory."""
    import tracemalloc

    counts = np.zeros((3000, 3000), np.int64)
    counts[5, 7] = 3
    tracemalloc.start()
    pairs = confused_pairs(counts, [str(number) for number in range(3000)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [(pair.label, pair.prediction, pair.count) for pair in pairs] == [("5", "7", 3)]
    assert peak < counts.nbytes / 2


def test_results_that_are_nan():
    """A perplexity of NaN is not compared with guessing."""
    metrics = {"loss": np.nan, "perplexity": np.nan, "accuracy": 0.5}
    of_model = Measured("test", "step-00000001", metrics=metrics, guess=Guess("perplexity", 9.0, "guessing"))
    (found,) = measured_findings(of_model, "run")
    assert (found.kind, found.text) == ("warning", "The test loss and perplexity are NaN or infinite.")
    (found,) = measured_findings(Measured("test", "step-00000001", metrics={"loss": np.inf}), "run")
    assert found.text == "The test loss is NaN or infinite."


@pytest.mark.parametrize(("value", "kind", "verdict"), [(8.5, "good", "better"), (9.5, "warning", "no better")])
def test_a_perplexity_against_guessing(value, kind, verdict):
    guess = Guess("perplexity", 9.0, "guessing each token")
    (found,) = measured_findings(Measured("test", "step-00000060", metrics={"perplexity": value}, guess=guess), "run")
    assert found.kind == kind
    assert found.text == f"Test perplexity {value:.4f} (step 60) is {verdict} than guessing each token (9.0000)."


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
