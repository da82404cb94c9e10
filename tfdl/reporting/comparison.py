"""Several runs side by side: what differs between their configurations and their results."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tfdl.reporting.change_interval import change_interval
from tfdl.reporting.comparable import (
    common_metrics,
    comparison_notes,
    have_one_data_set,
    only_recorded,
)
from tfdl.reporting.intervals import Interval
from tfdl.reporting.reported_run import ReportedRun
from tfdl.tasks.metric_directions import larger_is_better

ABSENT = object()
"""The value of a key that a run's configuration does not have."""


@dataclass(frozen=True)
class MetricChange:
    """How a metric of a run differs from that of the first run."""

    metric: str
    run: ReportedRun
    value: float
    interval: Interval | None
    """Of the change; None if it cannot be computed."""
    is_better: bool | None
    """None if the direction of the metric is not known, nothing has changed, or the data sets are different."""

    @property
    def is_certain(self) -> bool:
        """Whether the change is more than chance."""
        return self.interval is not None and self.interval.excludes_zero


@dataclass(frozen=True)
class SettingDifference:
    """A key of the configuration with its value in each run."""

    key: str
    values: tuple[Any, ...]
    """In the order of the runs; ``ABSENT`` for a run without the key."""


@dataclass(frozen=True)
class Comparison:
    """Several runs side by side."""

    split: str
    metrics: tuple[str, ...]
    """Metrics that all runs have and that mean the same for them."""
    best: dict[str, tuple[str, ...]]
    """Metric -> the letters of the best runs; none for runs of different data sets."""
    recorded: tuple[str, ...]
    """The letters of the runs whose results are recorded while those of others are measured; they are not compared."""
    changes: tuple[MetricChange, ...]
    settings: tuple[SettingDifference, ...]
    notes: tuple[str, ...]
    """Why something is not compared."""


def compare(runs: Sequence[ReportedRun], split: str) -> Comparison:
    """Compares runs with the first one.

    Args:
        runs: at least two.
        split: whose metrics are compared.
    """
    recorded = only_recorded(runs, split)
    compared = [run for run in runs if run.letter not in recorded]
    metrics = common_metrics(compared, split)
    has_direction = have_one_data_set(runs)
    changes: list[MetricChange] = []
    if runs[0] in compared:
        for metric in metrics:
            for run in compared[1:]:
                changes += _change(runs[0], run, split, metric, has_direction=has_direction)
    return Comparison(
        split=split,
        metrics=tuple(metrics),
        best={metric: _best(compared, split, metric) if has_direction else () for metric in metrics},
        recorded=recorded,
        changes=tuple(changes),
        settings=tuple(_settings(runs)),
        notes=tuple(comparison_notes(runs, split)),
    )


def _best(runs: Sequence[ReportedRun], split: str, metric: str) -> tuple[str, ...]:
    """The letters of the runs with the best value; none if the direction is not known or all are equal."""
    direction = larger_is_better(metric)
    values = {run.letter: run.finite_metric(split, metric) for run in runs}
    known = {letter: value for letter, value in values.items() if value is not None}
    if direction is None or len(set(known.values())) < 2:
        return ()
    best = max(known.values()) if direction else min(known.values())
    return tuple(letter for letter, value in known.items() if value == best)


def _change(
    first: ReportedRun, run: ReportedRun, split: str, metric: str, *, has_direction: bool
) -> Iterator[MetricChange]:
    before = first.finite_metric(split, metric)
    after = run.finite_metric(split, metric)
    if before is None or after is None:
        return
    difference = after - before
    direction = larger_is_better(metric) if has_direction else None
    is_better = None if direction is None or difference == 0 else (difference > 0) == direction
    yield MetricChange(metric, run, difference, change_interval(first, run, split, metric), is_better)


def _settings(runs: Sequence[ReportedRun]) -> Iterator[SettingDifference]:
    """The keys whose values differ."""
    configs = [run.facts.listed.config for run in runs]
    for key in dict.fromkeys(key for config in configs for key in config):
        values = [config.get(key, ABSENT) for config in configs]
        if any(value is not values[0] and value != values[0] for value in values):
            yield SettingDifference(key, tuple(values))
