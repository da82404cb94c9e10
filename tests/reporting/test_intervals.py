"""Confidence intervals: published values, hand-computed ones, and how often they contain the truth."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from tfdl.reporting.intervals import mean_difference, share_difference, wilson


@pytest.mark.parametrize(
    ("num_correct", "num_samples", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_s_interval_as_published(num_correct, num_samples, low, high):
    """Newcombe (1998), table I, method 3."""
    interval = wilson(num_correct, num_samples)
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)
    assert interval.value == num_correct / num_samples


@pytest.mark.parametrize(("num_correct", "num_samples"), [(0, 1), (1, 1), (173, 180), (5, 9), (99_999, 100_000)])
def test_wilson_s_interval_against_scipy(num_correct, num_samples):
    reference = binomtest(num_correct, num_samples).proportion_ci(method="wilson")
    interval = wilson(num_correct, num_samples)
    assert (interval.low, interval.high) == pytest.approx((reference.low, reference.high), abs=1e-12)


def test_the_change_of_a_share_by_hand():
    """Of 10 samples only the second model has 3 right, and only the first has 1."""
    before = np.array([True, False, False, False, True, True, False, False, True, True])
    after = np.array([False, True, True, True, True, True, False, False, True, True])
    interval = share_difference(before, after)
    assert interval.value == pytest.approx(0.2)
    half = 1.959964 * math.sqrt((4 / 12 + 2 / 12 - (2 / 12) ** 2) / 12)
    assert (interval.low, interval.high) == pytest.approx((2 / 12 - half, 2 / 12 + half), abs=1e-6)
    assert not interval.excludes_zero


def test_equal_models_differ_by_nothing():
    right = np.array([True, False] * 50)
    interval = share_difference(right, right)
    assert interval.value == 0
    assert interval.low == pytest.approx(-interval.high)
    assert not interval.excludes_zero


def test_the_intervals_contain_the_truth_as_often_as_they_say():
    """Two models that differ by 4%, on 500 test sets of 300 samples."""
    generator = np.random.default_rng(7)
    num_contained = 0
    for _ in range(500):
        kinds = generator.choice(4, 300, p=[0.7, 0.1, 0.06, 0.14])  # both right, second alone, first alone, none
        interval = share_difference((kinds == 0) | (kinds == 2), kinds < 2)
        num_contained += interval.low <= 0.04 <= interval.high
    assert 0.92 <= num_contained / 500 <= 0.98


def test_the_change_of_a_mean_is_that_of_the_paired_test():
    generator = np.random.default_rng(0)
    before, after = generator.normal(size=(2, 40))
    interval = mean_difference(before, after, np.ones(40))
    differences = after - before
    error = differences.std(ddof=1) / math.sqrt(40)
    expected = (differences.mean(), differences.mean() - 1.959964 * error, differences.mean() + 1.959964 * error)
    assert (interval.value, interval.low, interval.high) == pytest.approx(expected, abs=1e-6)


def test_the_change_of_a_mean_of_tokens():
    """Sums of losses over 1 and 3 tokens: each token loses 0.5."""
    interval = mean_difference(np.array([2.0, 6.0]), np.array([1.5, 4.5]), np.array([1, 3]))
    assert (interval.value, interval.low, interval.high) == pytest.approx((-0.5, -0.5, -0.5))


@pytest.mark.parametrize("values", [[1.0], [1.0, math.nan], [1.0, math.inf]])
def test_a_change_that_has_no_interval(values):
    assert mean_difference(np.array(values), np.array(values) + 1, np.ones(len(values))) is None
