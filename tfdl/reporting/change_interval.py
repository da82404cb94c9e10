"""The interval of a change between two models that answered the same samples."""

import math

from tfdl.reporting.intervals import Interval, mean_difference, share_difference
from tfdl.reporting.measuring.measured import Measured
from tfdl.reporting.reported_run import ReportedRun


def change_interval(first: ReportedRun, run: ReportedRun, split: str, metric: str) -> Interval | None:
    r"""The interval of a change; None if the models did not answer the same samples, or it cannot be computed.

    A perplexity is $e$ to the power of the loss. With $P$ that of the first model and $[l, h]$ the interval of the
    change of the loss, the interval of the change of the perplexity is $[P (e^l - 1), P (e^h - 1)]$, so both are more
    than chance or neither is. Bits of a character or byte are a multiple of the loss.

    Args:
        first: the run that the other is compared with.
        run: the other run.
        split: of the metric.
        metric: its name.
    """
    before, after = first.measured, run.measured
    if before is None or after is None or not (first.is_measured_on(split) and run.is_measured_on(split)):
        return None
    if (before.data_key, before.token_key) != (after.data_key, after.token_key):
        return None
    if metric == "perplexity":
        return _exponentials(_mean_interval(before, after, "loss"), before.metrics[metric])
    if metric.startswith("bits_per_") and before.metrics.get("loss"):
        return _multiple(_mean_interval(before, after, "loss"), before.metrics[metric] / before.metrics["loss"])
    return _mean_interval(before, after, metric)


def _mean_interval(before: Measured, after: Measured, metric: str) -> Interval | None:
    """The interval of a metric that is a mean over samples or tokens."""
    if metric not in before.scores or metric not in after.scores:
        return None
    scores_before, scores_after = before.scores[metric], after.scores[metric]
    if scores_before.is_share:
        return share_difference(scores_before.sums, scores_after.sums)
    return mean_difference(scores_before.sums, scores_after.sums, scores_before.weights)


def _exponentials(loss: Interval | None, before: float) -> Interval | None:
    if loss is None or not math.isfinite(before):
        return None
    try:
        value, low, high = (before * math.expm1(change) for change in (loss.value, loss.low, loss.high))
    except OverflowError:
        return None
    return Interval(value, low, high)


def _multiple(interval: Interval | None, factor: float) -> Interval | None:
    if interval is None or not math.isfinite(factor):
        return None
    return Interval(interval.value * factor, interval.low * factor, interval.high * factor)
