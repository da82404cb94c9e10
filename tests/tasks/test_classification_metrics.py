"""Metrics against scikit-learn's and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, precision_recall_fscore_support
from sklearn.metrics import confusion_matrix as sklearn_confusion

from tfdl.tasks.classification_metrics import classification_metrics, confusion_matrix

pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60)


@given(pairs)
def test_as_sklearn(rows):
    labels, predictions = np.array(rows).T
    found = classification_metrics(np.zeros(len(labels)), labels, predictions, 5)
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
    found = classification_metrics(np.array([1.0, 2.0, 6.0]), np.array([0, 0, 1]), np.array([0, 1, 1]), 3)
    assert found == pytest.approx(
        {"loss": 3, "accuracy": 2 / 3, "precision": (1 + 1 / 2) / 2, "recall": (1 / 2 + 1) / 2, "f1": 2 / 3}
    )


def test_small_integers_do_not_overflow():
    labels = np.full(300, 99, np.uint8)
    assert classification_metrics(np.zeros(300), labels, labels.astype(np.int32), 100)["accuracy"] == 1


def test_a_loss_of_many_samples_is_summed_in_float64():
    losses = np.full(2**20, 0.1, np.float32)
    found = classification_metrics(losses, np.zeros(2**20, int), np.zeros(2**20, int), 1)["loss"]
    assert found == pytest.approx(float(np.float32(0.1)), rel=1e-12)


def test_numbers_are_plain():
    found = classification_metrics(np.zeros(1, np.float32), np.zeros(1, int), np.zeros(1, int), 2)
    assert {type(value) for value in found.values()} == {float}
