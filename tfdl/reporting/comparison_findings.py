"""What a comparison of runs says, in sentences."""

from collections.abc import Iterator, Sequence
from typing import Any

from tfdl.reporting.comparison import Comparison, MetricChange
from tfdl.reporting.findings import Finding
from tfdl.reporting.reported_run import ReportedRun
from tfdl.reporting.text_values import change, number
from tfdl.tasks.metric_directions import larger_is_better


def comparison_findings(runs: Sequence[ReportedRun], comparison: Comparison) -> Iterator[Finding]:
    """What the comparison says, in sentences.

    Args:
        runs: that were compared.
        comparison: of them.
    """
    for note in comparison.notes:
        yield Finding("comparison", "warning", note)
    metric = next((run.facts.listed.metric for run in runs if run.facts.listed.metric in comparison.metrics), None)
    if metric is None:
        return
    best = comparison.best.get(metric, ())
    names = {run.letter: run.name for run in runs}
    if best:
        compared = [run for run in runs if run.letter not in comparison.recorded]
        value = _best_value(compared, comparison.split, metric)
        who = " and ".join(f"{letter} ({names[letter]})" for letter in best)
        verb = "has" if len(best) == 1 else "have"
        text = f"{who} {verb} the best {comparison.split} {metric}, {number(value)}."
        yield Finding("best_run", "note", text, values={"metric": metric, "runs": list(best), "value": value})
    for each in comparison.changes:
        if each.metric == metric:
            yield _change_finding(each, runs[0], comparison.split)


def _best_value(runs: Sequence[ReportedRun], split: str, metric: str) -> float:
    """The best value of a metric whose direction is known.

    Args:
        runs: of which some have the metric.
        split: of the metric.
        metric: its name.
    """
    known = [value for run in runs if (value := run.finite_metric(split, metric)) is not None]
    return max(known) if larger_is_better(metric) else min(known)


def _change_finding(each: MetricChange, first: ReportedRun, split: str) -> Finding:
    text = (
        f"{each.run.letter} ({each.run.name}) changes {split} {each.metric} by {change(each.value)} from {first.letter}"
    )
    values: dict[str, Any] = {"metric": each.metric, "run": each.run.letter, "change": each.value}
    interval = each.interval
    if interval is None:
        text += "; there is no interval for this change."
    else:
        values |= {"low": interval.low, "high": interval.high, "certain": each.is_certain}
        verdict = "more than chance" if each.is_certain else "this may be chance"
        text += f" (95% interval {change(interval.low)} to {change(interval.high)}): {verdict}."
    return Finding("change", "note", text, values=values)
