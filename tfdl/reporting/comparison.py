"""Several runs side by side: what differs between their configurations and their results."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tfdl.reporting.intervals import Interval, mean_difference, share_difference
from tfdl.reporting.reported_run import ReportedRun
from tfdl.tasks.metric_directions import larger_is_better

# Losses of single tokens; they mean something else for other tokens.
_OF_TOKENS = frozenset({"loss", "perplexity", "token_accuracy"})

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
    """None if the direction of the metric is not known, or nothing has changed."""

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
    """Metric -> the letters of the best runs."""
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
    notes = list(_notes(runs, split))
    metrics = _common_metrics(runs, split)
    changes = [each for metric in metrics for run in runs[1:] for each in _change(runs[0], run, split, metric)]
    return Comparison(
        split=split,
        metrics=tuple(metrics),
        best={metric: _best(runs, split, metric) for metric in metrics},
        changes=tuple(changes),
        settings=tuple(_settings(runs)),
        notes=tuple(notes),
    )


def _notes(runs: Sequence[ReportedRun], split: str) -> Iterator[str]:
    tasks = sorted({run.facts.listed.task or "unknown" for run in runs})
    if len(tasks) > 1:
        yield (
            f"The runs have different tasks ({', '.join(tasks)}). Only metrics that all of them have are compared; a"
            " loss of one task says nothing about that of another."
        )
    datasets = sorted({run.facts.listed.dataset or "unknown" for run in runs})
    if len(datasets) > 1:
        yield f"The runs have different data sets ({', '.join(datasets)}), so they have no samples in common."
    elif len(tasks) == 1 and not _have_equal_tokens(runs):
        yield "The runs have different tokens, so losses and perplexities of tokens are not compared."
    measured = [run.measured for run in runs if run.measured is not None and run.is_measured]
    if measured and len({repr(each.data_key) for each in measured}) > 1 and len(datasets) == 1 and len(tasks) == 1:
        yield f"The samples of the {split} split are not the same for all runs, so changes have no interval."
    missing = [run.letter for run in runs if not run.metrics(split)]
    if missing:
        yield f"Without results on the {split} split: {', '.join(missing)}."


def _common_metrics(runs: Sequence[ReportedRun], split: str) -> list[str]:
    """Metrics of the runs that have results."""
    known = [run.metrics(split) for run in runs if run.metrics(split)]
    if not known:
        return []
    first, *others = known
    common = [name for name in first if all(name in metrics for metrics in others)]
    main = runs[0].facts.listed.metric
    common.sort(key=lambda name: name != main)  # the main metric is the first one
    same_task = len({run.facts.listed.task for run in runs}) == 1
    if not same_task:
        return [name for name in common if name not in _OF_TOKENS]
    return common if _have_equal_tokens(runs) else [name for name in common if name not in _OF_TOKENS]


def _have_equal_tokens(runs: Sequence[ReportedRun]) -> bool:
    """Whether the runs predict the same tokens, as far as is known. Classifiers predict none."""
    if not any(run.facts.predicts_tokens for run in runs):
        return True
    tokenizers = {
        repr({key: value for key, value in run.facts.listed.config.items() if key.split(".")[0] == "tokenizer"})
        for run in runs
    }
    if len(tokenizers) > 1:
        return False
    digests = {run.measured.token_key[0] for run in runs if run.measured is not None and run.measured.token_key}
    return len(digests) < 2


def _best(runs: Sequence[ReportedRun], split: str, metric: str) -> tuple[str, ...]:
    """The letters of the runs with the best value; none if the direction is not known or all are equal."""
    direction = larger_is_better(metric)
    values = {run.letter: run.metrics(split).get(metric) for run in runs}
    known = {letter: value for letter, value in values.items() if value is not None}
    if direction is None or len(set(known.values())) < 2:
        return ()
    best = max(known.values()) if direction else min(known.values())
    return tuple(letter for letter, value in known.items() if value == best)


def _change(first: ReportedRun, run: ReportedRun, split: str, metric: str) -> Iterator[MetricChange]:
    before = first.metrics(split).get(metric)
    after = run.metrics(split).get(metric)
    if before is None or after is None:
        return
    difference = after - before
    direction = larger_is_better(metric)
    is_better = None if direction is None or difference == 0 else (difference > 0) == direction
    yield MetricChange(metric, run, difference, _interval(first, run, split, metric), is_better)


def _interval(first: ReportedRun, run: ReportedRun, split: str, metric: str) -> Interval | None:
    """The interval of a change, if both models were measured on the same samples."""
    before, after = first.measured, run.measured
    if before is None or after is None or before.problem or after.problem or before.split != split:
        return None
    if (before.data_key, before.token_key) != (after.data_key, after.token_key):
        return None
    if metric not in before.scores or metric not in after.scores:
        return None
    scores_before, scores_after = before.scores[metric], after.scores[metric]
    if scores_before.is_share:
        return share_difference(scores_before.sums, scores_after.sums)
    return mean_difference(scores_before.sums, scores_after.sums, scores_before.weights)


def _settings(runs: Sequence[ReportedRun]) -> Iterator[SettingDifference]:
    """The keys whose values differ."""
    configs = [run.facts.listed.config for run in runs]
    for key in dict.fromkeys(key for config in configs for key in config):
        values = [config.get(key, ABSENT) for config in configs]
        if any(value is not values[0] and value != values[0] for value in values):
            yield SettingDifference(key, tuple(values))
