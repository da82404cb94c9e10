"""The order of a list of runs."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from tfdl.errors import UserError, nearest
from tfdl.reporting.listed_run import ListedRun

SHORT_NAMES = {"ranks": "world_size", "time": "wall_seconds"}
"""The names of columns that are shorter than their field."""


def sort_runs(runs: Iterable[ListedRun], order: str) -> list[ListedRun]:
    """Returns the runs in another order. Runs without a value come last, whatever the direction.

    Args:
        runs: the runs; those of one value keep their order.
        order: the name of a column, a field, or a metric such as ``test.accuracy``: smallest first. With ``-`` in front
            of the name: largest first.

    Raises:
        UserError: no run has a value of this name.
    """
    listed = list(runs)
    name = field_of(order, listed)
    with_value = [run for run in listed if run.value(name) is not None]
    without_value = [run for run in listed if run.value(name) is None]
    return sorted(with_value, key=lambda run: run.value(name), reverse=order.startswith("-")) + without_value


def field_of(order: str, runs: Sequence[ListedRun]) -> str:
    """Returns the name by which runs are sorted, for ``ListedRun.value``.

    Args:
        order: as for ``sort_runs``.
        runs: the runs, whose metrics have names.

    Raises:
        UserError: no run has a value of this name.
    """
    received = order.removeprefix("-")
    name = SHORT_NAMES.get(received, received)
    metrics = _metrics_of(runs)
    split, _, metric = name.partition(".")
    # Without any run there is nothing to sort, and no metric is known.
    is_metric_of_no_run = bool(metric) and split in ("validation", "test") and not metrics
    if name in sortable_names() or name in metrics or is_metric_of_no_run:
        return name
    known = [*sortable_names(), *SHORT_NAMES, *metrics]
    raise UserError(f"--sort {order!r}, expected one of {', '.join(known)}.{nearest(received, known)}")


def sortable_names() -> list[str]:
    """The names of a run's fields, and ``metric``."""
    return [*(field.name for field in fields(ListedRun)), "metric"]


def _metrics_of(runs: Iterable[ListedRun]) -> list[str]:
    """The metrics that some run has, such as ``test.accuracy``; each once."""
    names: dict[str, Any] = {}
    for run in runs:
        names.update(dict.fromkeys(f"validation.{name}" for name in run.validation))
        names.update(dict.fromkeys(f"test.{name}" for name in run.test))
    return list(names)
