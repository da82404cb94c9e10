"""Metrics against scikit-learn's and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import accuracy_score, precision_recall_fscore_support, roc_auc_score, top_k_accuracy_score
from sklearn.metrics import confusion_matrix as sklearn_confusion

from tfdl.tasks.classification_metrics import (
    classification_details,
    classification_metrics,
    classification_rows,
    confusion_matrix,
    guessing_warning,
    one_vs_rest_auc,
)

pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60)


def metrics_of(losses, labels, predictions, num_classes):
    rows = {
        "loss": losses,
        "label": labels,
        "prediction": predictions,
        "num_above": np.where(labels == predictions, 0, 5),
    }
    return classification_metrics(rows, num_classes)


def scored(seed, samples, num_classes, dtype="float32"):
    """Labels, logits that know a little of them, and the rows of both."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, num_classes, samples).astype(np.int32)
    logits = random.normal(size=(samples, num_classes)) + np.eye(num_classes)[labels]
    logits = logits.astype(dtype)
    rows = classification_rows(np.zeros(samples, np.float32), labels, logits)
    return labels, logits, {name: np.asarray(column) for name, column in rows.items()}


@given(pairs)
def test_as_sklearn(rows):
    labels, predictions = np.array(rows).T
    found = metrics_of(np.zeros(len(labels)), labels, predictions, 5)
    precision, recall, f1, _ = precision_recall_fscore_support(labels, predictions, average="macro", zero_division=0)
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, predictions))
    assert (found["precision"], found["recall"], found["f1"]) == pytest.approx((precision, recall, f1))


@given(pairs)
def test_confusion_is_sklearn_s(rows):
    labels, predictions = np.array(rows).T
    expected = sklearn_confusion(labels, predictions, labels=range(5))
    np.testing.assert_array_equal(confusion_matrix(labels, predictions, 5), expected)


def test_by_hand():
    # Class 0: TP 1, FN 1; class 1: TP 1, FP 1; class 2 does not occur and counts in no average.
    found = metrics_of(np.array([1.0, 2.0, 6.0]), np.array([0, 0, 1]), np.array([0, 1, 1]), 3)
    assert found == pytest.approx(
        {"loss": 3, "accuracy": 2 / 3, "precision": (1 + 1 / 2) / 2, "recall": (1 / 2 + 1) / 2, "f1": 2 / 3}
    )


def test_small_integers_do_not_overflow():
    labels = np.full(300, 99, np.uint8)
    assert metrics_of(np.zeros(300), labels, labels.astype(np.int32), 100)["accuracy"] == 1


def test_a_loss_of_many_samples_is_summed_in_float64():
    losses = np.full(2**20, 0.1, np.float32)
    found = metrics_of(losses, np.zeros(2**20, int), np.zeros(2**20, int), 1)["loss"]
    assert found == pytest.approx(float(np.float32(0.1)), rel=1e-12)


def test_numbers_are_plain():
    found = metrics_of(np.zeros(1, np.float32), np.zeros(1, int), np.zeros(1, int), 2)
    assert {type(value) for value in found.values()} == {float}


@pytest.mark.parametrize(("samples", "num_classes"), [(500, 10), (97, 6), (40, 3), (60, 2)])
def test_what_needs_scores_is_as_sklearn_s(samples, num_classes):
    labels, logits, rows = scored(samples, samples, num_classes)
    found = classification_metrics(rows, num_classes)
    probabilities = softmax(logits.astype("float64"), axis=1)
    by_sklearn = [roc_auc_score(labels == number, probabilities[:, number]) for number in range(num_classes)]
    assert found["auc"] == pytest.approx(np.mean(by_sklearn), rel=1e-12)
    if num_classes > 5:
        assert found["top_5_accuracy"] == top_k_accuracy_score(labels, logits, k=5, labels=range(num_classes))
    else:
        assert "top_5_accuracy" not in found


def test_ties_count_half():
    """Of the four pairs of a 1 and a 0, one is right, one is wrong and two are tied."""
    logits = np.array([[0.0, 1.0], [0.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    assert one_vs_rest_auc(np.array([1, 1, 0, 0]), logits) == 0.5
    assert one_vs_rest_auc(np.array([1, 0, 1, 0]), logits) == 1.0


def test_what_float32_takes_for_certain_still_has_an_order():
    """Probabilities of 1 - 1e-9 and 1 - 1e-10 are both 1 in float32."""
    logits = np.array([[0, np.log(1e9)], [0, np.log(1e10)]], "float32")
    assert one_vs_rest_auc(np.array([0, 1]), logits) == 1.0


def test_classes_that_do_not_occur_have_no_area():
    labels, logits, _ = scored(0, 50, 4)
    labels = labels % 2
    areas = [roc_auc_score(labels == number, softmax(logits.astype("float64"), 1)[:, number]) for number in (0, 1)]
    assert one_vs_rest_auc(labels, logits) == pytest.approx(np.mean(areas), rel=1e-12)
    assert one_vs_rest_auc(np.zeros(50), logits) is None


def test_a_score_that_is_no_number_is_not_among_the_best():
    logits = np.full((1, 10), np.nan, "float32")
    assert np.asarray(classification_rows(np.zeros(1), np.zeros(1, np.int32), logits)["num_above"]) == 10


def test_scores_of_very_many_classes_are_not_kept():
    _, _, rows = scored(0, 20, 101)
    assert "logits" not in rows
    assert "auc" not in classification_metrics(rows, 101)


def test_details_are_sklearn_s_for_each_class():
    labels, _, rows = scored(3, 80, 4)
    found = classification_details(rows, "abcd")
    columns = precision_recall_fscore_support(labels, rows["prediction"], labels=range(4), zero_division=0)
    for place, name in enumerate("abcd"):
        assert list(found["classes"][name].values()) == pytest.approx([column[place] for column in columns])
    assert found["confusion_matrix"] == sklearn_confusion(labels, rows["prediction"]).tolist()


@pytest.mark.parametrize(
    ("labels", "predictions", "warning"),
    [
        ([0, 1, 1, 1], [1, 1, 1, 1], "accuracy 0.7500 is no better than answering 'b', the largest class, for every"),
        ([0, 1, 1, 1], [0, 0, 0, 0], "accuracy 0.2500 is no better than answering 'b'"),
        ([0, 1, 1, 1], [0, 1, 1, 1], ""),
        ([0, 0, 1, 1], [0, 1, 1, 1], ""),
        ([0, 1, 2], [1, 1, 1], "accuracy 0.3333 is no better than answering 'a'"),
        ([1, 1], [1, 1], ""),
    ],
)
def test_a_model_that_only_knows_the_largest_class(labels, predictions, warning):
    rows = {"label": np.array(labels), "prediction": np.array(predictions)}
    found = guessing_warning(rows, ("a", "b", "c"))
    assert found.startswith(warning)
    assert bool(found) == bool(warning)


def test_a_task_with_other_rows_has_no_such_warning():
    assert guessing_warning({"distance": np.zeros(3)}, ("a", "b")) == ""
