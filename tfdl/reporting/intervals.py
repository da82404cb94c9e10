"""Confidence intervals of metrics, and of the difference between two models on the same samples."""

import math
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
# The quantile of the normal distribution for two-sided 95%.
_Z = 1.959963984540054


@dataclass(frozen=True)
class Interval:
    """A value with its 95% confidence interval."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 is outside: a difference of this interval is more than chance."""
        return self.low > 0 or self.high < 0


def wilson(num_correct: int, num_samples: int) -> Interval:
    r"""The interval of a share (Wilson, 1927).

    With $p = k / n$ its center is $(p + z^2 / 2n) / (1 + z^2 / n)$ and half its width is
    $z \sqrt{p (1 - p) / n + z^2 / 4n^2} / (1 + z^2 / n)$. Unlike $p \pm z \sqrt{p (1 - p) / n}$ it is right for shares
    near 0 and 1, and for few samples.

    Args:
        num_correct: samples that count, $k$.
        num_samples: all samples, $n$, at least 1.
    """
    share = num_correct / num_samples
    scale = 1 + _Z**2 / num_samples
    center = (share + _Z**2 / (2 * num_samples)) / scale
    variance = share * (1 - share) / num_samples + _Z**2 / (4 * num_samples**2)
    half = _Z * math.sqrt(variance) / scale
    # With no or all samples one end is exactly 0 or 1, up to rounding.
    low = 0.0 if num_correct == 0 else center - half
    high = 1.0 if num_correct == num_samples else center + half
    return Interval(share, low, high)


def share_difference(before: np.ndarray, after: np.ndarray) -> Interval:
    r"""The change of a share from one model to another on the same samples (Bonett and Price, 2012).

    Only samples on which the models differ say something. With $b$ samples that only the second model has right and $c$
    that only the first has right, $p_b = (b + 1) / (n + 2)$ and $p_c = (c + 1) / (n + 2)$, the interval is
    $p_b - p_c \pm z \sqrt{(p_b + p_c - (p_b - p_c)^2) / (n + 2)}$. The value is $(b - c) / n$.

    Args:
        before: whether the first model is right on each sample, bool ``(n,)``.
        after: the same of the second model.
    """
    num_samples = len(before)
    only_after = int(np.sum(after & ~before))
    only_before = int(np.sum(before & ~after))
    share_after = (only_after + 1) / (num_samples + 2)
    share_before = (only_before + 1) / (num_samples + 2)
    center = share_after - share_before
    half = _Z * math.sqrt((share_after + share_before - center**2) / (num_samples + 2))
    return Interval((only_after - only_before) / num_samples, center - half, center + half)


def mean_difference(before: np.ndarray, after: np.ndarray, weights: np.ndarray) -> Interval | None:
    r"""The change of a weighted mean from one model to another on the same samples.

    With $d_i$ the differences of the samples' sums and $w_i$ their weights, the value is
    $\delta = \sum_i d_i / \sum_i w_i$ and its standard error $\sqrt{n / (n - 1) \sum_i (d_i - \delta w_i)^2} / \sum_i
    w_i$.

    Args:
        before: the sum of each sample under the first model, such as the losses of its tokens, ``(n,)``.
        after: the same of the second model.
        weights: of each sample, such as the number of its tokens, ``(n,)``.

    Returns:
        The interval; None for fewer than two samples, or values that are not finite.
    """
    count = len(before)
    if count < 2 or not (np.isfinite(before).all() and np.isfinite(after).all()):
        return None
    differences = np.asarray(after, np.float64) - np.asarray(before, np.float64)
    total = float(np.sum(weights, dtype=np.float64))
    value = float(differences.sum() / total)
    residuals = differences - value * np.asarray(weights, np.float64)
    error = math.sqrt(count / (count - 1) * float(np.sum(residuals**2))) / total
    return Interval(value, value - _Z * error, value + _Z * error)
