"""The tables of a run's results, cost and environment."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tfdl.reporting.checked_values import count_or_zero
from tfdl.reporting.facts.report_means import finite
from tfdl.reporting.intervals import Interval
from tfdl.reporting.reported_run import ReportedRun
from tfdl.reporting.text_values import checkpoint_words, count, duration, large, number, setting, tenths

# Recorded and measured values of the same weights differ by rounding at most.
_TOLERANCE = 1e-5

Row = tuple[str, str]
"""What it is, and the value."""


@dataclass(frozen=True)
class Cell:
    """A metric's value, with its interval if that is known."""

    value: str
    interval: str = ""


@dataclass(frozen=True)
class ResultsTable:
    """Metrics by split."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    """A metric's name, and a cell for each column."""
    has_intervals: bool


def results_table(run: ReportedRun) -> ResultsTable:
    """The results that a run recorded, and those that were measured if they are others.

    Args:
        run: the run.
    """
    columns: list[tuple[str, Mapping[str, Any], Mapping[str, Interval]]] = []
    measured = run.measured if run.is_measured else None
    is_shown = False
    for split, metrics in (("validation", run.facts.listed.validation), ("test", run.facts.listed.test)):
        if not metrics:
            continue
        intervals = {name: run.facts.recorded_interval(split, name) for name in metrics}
        known = {name: interval for name, interval in intervals.items() if interval is not None}
        if measured is not None and measured.split == split and _are_equal(metrics, measured.metrics):
            is_shown = True
            known = dict(measured.intervals)
        when = "last step" if run.facts.listed.state == "finished" else "last validation"
        columns.append((f"{split}, {when}", metrics, known))
    if measured is not None and not is_shown:
        place = checkpoint_words(measured.checkpoint)
        columns.append((f"{measured.split}, {place}", measured.metrics, measured.intervals))
    names = dict.fromkeys(name for _, metrics, _ in columns for name in metrics)
    rows = [(name, tuple(_cell(metrics.get(name), known.get(name)) for _, metrics, known in columns)) for name in names]
    has_intervals = any(known for _, _, known in columns)
    return ResultsTable(tuple(title for title, _, _ in columns), tuple(rows), has_intervals)


def _cell(value: float | None, interval: Interval | None) -> Cell:
    if value is None:
        return Cell("–")
    return Cell(number(value), "" if interval is None else f"{number(interval.low)} to {number(interval.high)}")


def _are_equal(recorded: Mapping[str, float | None], measured: Mapping[str, float]) -> bool:
    for name, value in recorded.items():
        other = measured.get(name)
        if value is None or other is None or abs(value - other) > _TOLERANCE * max(1.0, abs(value)):
            return False
    return True


def cost_rows(run: ReportedRun) -> Iterator[Row]:
    """What the training took.

    Args:
        run: the run.
    """
    listed = run.facts.listed
    if listed.wall_seconds is not None:
        yield "time of the whole run", duration(listed.wall_seconds)
    examples = count_or_zero(run.facts.progress.get("examples"))
    seconds = finite(run.facts.progress.get("train_seconds"))
    if seconds:
        timed = count_or_zero(run.facts.progress.get("timed_examples"))
        # The first call of a graph, which compiles, has no time.
        of_all = f", for {count(timed)} of the examples: without calls that compile" if 0 < timed < examples else ""
        yield "time of training steps", f"{duration(seconds)}{of_all}"
    if listed.examples_per_second is not None:
        yield "examples per second", tenths(listed.examples_per_second)
    if examples:
        yield "training examples read", count(examples)
    for title, value in (("epochs", listed.epochs), ("steps", listed.steps), ("parameters", listed.parameters)):
        if value is not None:
            yield title, count(value)
    flops = run.measured.training_flops if run.measured is not None else None
    if flops:
        # Every text is counted as one of the greatest length.
        yield "FLOPs to train on an example", f"at most {large(flops)}"
        if examples:
            yield "FLOPs of the training", f"at most {large(flops * examples)}"


def environment_rows(run: ReportedRun) -> Iterator[Row]:
    """What the run recorded of where and how it was trained.

    Args:
        run: the run.
    """
    listed = run.facts.listed
    if listed.tfdl_version:
        yield "tfdl", listed.tfdl_version
    if listed.started is not None:
        yield "started", datetime.fromtimestamp(listed.started, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if listed.world_size is not None:
        yield "ranks", count(listed.world_size)
    if listed.batch_size is not None:
        per_rank = count(listed.batch_size)
        everywhere = "" if listed.global_batch_size is None else f", {count(listed.global_batch_size)} over all ranks"
        yield "batch size", f"{per_rank} per rank{everywhere}"
    for key in ("precision", "xla", "compression", "seed"):
        if key in listed.config:
            yield key, setting(listed.config[key])
    yield from _digest_rows(run)


def _digest_rows(run: ReportedRun) -> Iterator[Row]:
    """The digests of the weights that the run recorded, and of those that were measured if they are others."""
    recorded = run.facts.listed.weights_sha256
    measured = run.measured if run.is_measured else None
    if recorded:
        yield "SHA-256 of the weights, last step", recorded
    if measured is not None and measured.weights_sha256 not in ("", recorded):
        place = checkpoint_words(measured.checkpoint)
        yield f"SHA-256 of the measured weights, {place}", measured.weights_sha256
