"""Probabilities of classifiers are compared by their logarithms."""

import numpy as np
import pytest

from tfdl.errors import RunError
from tfdl.export.differences import checked_difference, largest_difference
from tfdl.export.log_probabilities import with_log_probabilities

NUM_CLASSES = 10_000


def softmax(logits):
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return (exponentials / exponentials.sum(-1, keepdims=True)).astype(np.float32)


def answers_to(logits):
    return {"several": {"probabilities": softmax(logits)}}


def test_many_classes_whose_probabilities_are_small():
    """The probabilities hardly differ, but for many rows the most likely class does."""
    random = np.random.default_rng(0)
    logits = random.normal(scale=0.01, size=(63, NUM_CLASSES))
    expected = answers_to(logits)
    answers = answers_to(logits + random.normal(scale=0.05, size=logits.shape))
    first = expected["several"]["probabilities"]
    second = answers["several"]["probabilities"]
    assert largest_difference({"p": first}, {"p": second}) <= 1e-4
    assert (first.argmax(-1) == second.argmax(-1)).mean() < 0.1
    with pytest.raises(RunError, match=r"the file differs from the model by 0\.\d+, expected at most"):
        checked_difference(
            "the file",
            with_log_probabilities(expected, "probabilities"),
            with_log_probabilities(answers, "probabilities"),
        )


def test_rounding_is_no_difference():
    logits = np.random.default_rng(0).normal(scale=20.0, size=(63, 1000))
    expected = with_log_probabilities(answers_to(logits), "probabilities")
    answers = with_log_probabilities(answers_to(logits.astype(np.float32)), "probabilities")
    assert checked_difference("the file", expected, answers).largest <= 1e-5


def test_probabilities_that_one_kernel_rounds_to_zero():
    expected = {"one": {"probabilities": np.array([[1.0, 1e-42]], np.float32)}}
    answers = {"one": {"probabilities": np.array([[1.0, 0.0]], np.float32)}}
    found = with_log_probabilities(expected, "probabilities"), with_log_probabilities(answers, "probabilities")
    assert checked_difference("the file", *found).largest < 1e-30


def test_answers_without_probabilities():
    assert with_log_probabilities({"one": {"y": np.ones(2)}}, "probabilities")["one"].keys() == {"y"}
