"""Means over the steps between two reports, from the running means that a run writes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tfdl.reporting.checked_values import is_number

Points = tuple[tuple[int, ...], tuple[float, ...]]
"""Steps, and the value at each."""

# The exponential of the loss, so its running value is no mean of values.
_PERPLEXITY = "perplexity"


def interval_means(reports: Sequence[Mapping[str, Any]], epoch_ends: Sequence[int]) -> dict[str, Points]:
    """Metric -> its mean over the steps between one report and the next.

    A run writes the mean over the epoch so far, which hides what changes late in an epoch. With the means $m_1$ after
    $n_1$ steps of the epoch and $m_2$ after $n_2$, the mean of the steps between is $(n_2 m_2 - n_1 m_1) / (n_2 -
    n_1)$. A short last batch counts like the others.

    Args:
        reports: in the order of their steps.
        epoch_ends: the steps at which epochs ended.
    """
    names = dict.fromkeys(name for report in reports for name in section(report, "train") if name != _PERPLEXITY)
    return {name: _of_metric(reports, epoch_ends, name) for name in names}


def _of_metric(reports: Sequence[Mapping[str, Any]], epoch_ends: Sequence[int], name: str) -> Points:
    steps = []
    values = []
    ends = sorted(epoch_ends)
    begin = 0
    num_before = 0
    sum_before = 0.0
    next_end = 0
    for report in reports:
        step = report["step"]
        while next_end < len(ends) and ends[next_end] < step:
            begin = ends[next_end]
            next_end += 1
            num_before = 0
            sum_before = 0.0
        mean = finite(section(report, "train").get(name))
        count = step - begin
        if mean is None or count <= num_before:
            continue
        total = mean * count
        value = (total - sum_before) / (count - num_before)
        if mean >= 0:
            value = max(0.0, value)  # rounding errors of large sums
        steps.append(step)
        values.append(value)
        num_before = count
        sum_before = total
    return tuple(steps), tuple(values)


def section(report: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A report's metrics by name; empty if there are none.

    Args:
        report: a line of ``metrics.jsonl``.
        name: ``train`` or ``validation``.
    """
    metrics = report.get(name)
    return metrics if isinstance(metrics, Mapping) else {}


def finite(value: Any) -> float | None:
    """A number that a figure can show; None for anything else."""
    if not is_number(value) or not math.isfinite(value):
        return None
    return float(value)
