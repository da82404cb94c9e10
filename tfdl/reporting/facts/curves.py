"""The course of a training, from ``metrics.jsonl``."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfdl.reporting.facts.report_means import finite, interval_means, section
from tfdl.reporting.regular_file import check_regular

# In the order in which a run writes them at the same step.
_KINDS = ("steps", "validation", "epoch", "ranks", "return")
_CHANGES = ("ranks", "return")


@dataclass(frozen=True)
class Series:
    """A value at some steps. Values that are NaN or infinite are left out."""

    steps: tuple[int, ...] = ()
    values: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.steps)

    def at(self, step: int) -> float | None:
        """The value at a step; None without one."""
        return self.values[self.steps.index(step)] if step in self.steps else None


@dataclass(frozen=True)
class Curves:
    """What ``metrics.jsonl`` says. A step that a resumed run repeated counts once, as it was the last time."""

    training: Mapping[str, Series] = field(default_factory=dict)
    """Metric -> its mean over the steps since the report before."""
    validation: Mapping[str, Series] = field(default_factory=dict)
    learning_rate: Series = Series()
    examples_per_second: Series = Series()
    epochs: Series = Series()
    """Epochs done, at each validation."""
    rank_changes: tuple[tuple[int, str], ...] = ()
    """Steps at which the ranks of an elastic run changed, and what was reported."""
    not_finite: tuple[int, ...] = ()
    """Steps at which the training loss was NaN or infinite."""
    num_damaged: int = 0
    """Lines that cannot be read."""

    last_step: int = 0
    """The last step of a report; 0 without one."""


def read_curves(path: Path, *, may_grow: bool = False) -> Curves:
    """Reads the reports of a run.

    Args:
        path: of ``metrics.jsonl``; it may be absent.
        may_grow: whether the run may be writing its last line, which is then no damaged one.
    """
    try:
        check_regular(path)
        content = path.read_bytes()
    except FileNotFoundError:
        return Curves()
    lines = content.splitlines()
    is_cut = bool(lines) and not content.endswith(b"\n")
    if may_grow and is_cut and _report(lines[-1]) is None:
        lines.pop()
    reports = [_report(line) for line in lines]
    num_damaged = sum(report is None for report in reports)
    kept = _without_repeated(report for report in reports if report is not None)
    of_steps = [report for report in kept if report["kind"] == "steps"]
    of_epochs = [report for report in kept if report["kind"] == "epoch"]
    validated = [report for report in kept if report["kind"] in ("validation", "epoch")]
    # A run of few steps may have reports of epochs alone.
    course = of_steps or of_epochs
    changes = [(report["step"], str(report.get("text", ""))) for report in kept if report["kind"] in _CHANGES]
    return Curves(
        training=_training(course, [report["step"] for report in of_epochs]),
        validation=_validation(validated),
        learning_rate=_series(course, "learning_rate"),
        examples_per_second=_series(course, "examples_per_second"),
        epochs=_series(of_epochs, "epoch"),
        rank_changes=tuple(changes),
        not_finite=tuple(report["step"] for report in course if finite(section(report, "train").get("loss")) is None),
        num_damaged=num_damaged,
        last_step=max((report["step"] for report in kept), default=0),
    )


def _report(line: bytes) -> dict[str, Any] | None:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_report = isinstance(values, dict) and values.get("kind") in _KINDS
    step = values.get("step") if is_report else None
    if isinstance(step, bool) or not isinstance(step, int) or not 0 <= step < 2**63:
        return None
    return values


def _without_repeated(reports: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The reports without those of steps that came again later, after a run was resumed from an earlier step."""
    kept: list[dict[str, Any]] = []
    for report in reports:
        while kept and _comes_again(kept[-1], report):
            kept.pop()
        kept.append(report)
    return kept


def _comes_again(earlier: Mapping[str, Any], report: Mapping[str, Any]) -> bool:
    """Whether a report shows that what an earlier one says was done again."""
    if report["kind"] in _CHANGES:
        return bool(earlier["step"] > report["step"])  # the ranks may change twice at a step
    return _place(earlier) >= _place(report)


def _place(report: Mapping[str, Any]) -> tuple[int, int]:
    """The order of the reports of a run that is never resumed; several of one step have the order of ``_KINDS``."""
    return report["step"], _KINDS.index(report["kind"])


def _series(reports: Iterable[Mapping[str, Any]], name: str) -> Series:
    """A value of these reports."""
    return _points((report["step"], report.get(name)) for report in reports)


def _points(pairs: Iterable[tuple[int, Any]]) -> Series:
    """The steps that have a number."""
    found = [(step, finite(value)) for step, value in pairs]
    known = [(step, value) for step, value in found if value is not None]
    return Series(tuple(step for step, _ in known), tuple(value for _, value in known))


def _validation(reports: Sequence[Mapping[str, Any]]) -> dict[str, Series]:
    """Metric -> its values, of each metric that some report has."""
    rows = [(report["step"], section(report, "validation")) for report in reports]
    names = dict.fromkeys(name for _, metrics in rows for name in metrics)
    series = {name: _points((step, metrics.get(name)) for step, metrics in rows) for name in names}
    return {name: values for name, values in series.items() if len(values)}


def _training(reports: Sequence[Mapping[str, Any]], ends: Sequence[int]) -> dict[str, Series]:
    """Metric -> its mean between two reports."""
    series = {name: Series(*points) for name, points in interval_means(reports, ends).items()}
    return {name: values for name, values in series.items() if len(values)}
