"""Loss for a token and perplexity, by hand."""

import math

import numpy as np
import pytest

from tfdl.tasks.language_metrics import language_metrics


def test_by_hand():
    """Eight tokens of probability 1/4, two of 1/2: sequences of unequal lengths count by their tokens."""
    losses = np.array([8 * math.log(4), 2 * math.log(2)])
    found = language_metrics(losses, np.array([8, 2]))
    assert found == pytest.approx({"loss": 1.8 * math.log(2), "perplexity": 2**1.8}, rel=1e-14)


def test_sums_are_those_of_float64():
    losses = np.full(2**20, 0.1, np.float32)
    assert language_metrics(losses, np.ones(2**20))["loss"] == pytest.approx(float(np.float32(0.1)), rel=1e-12)


def test_a_loss_beyond_float64_has_an_infinite_perplexity():
    assert language_metrics(np.array([1e4]), np.array([1]))["perplexity"] == math.inf
