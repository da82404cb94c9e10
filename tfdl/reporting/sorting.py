"""The order of a list of runs."""

from collections.abc import Iterable, Sequence
from typing import Any

from tfdl.reporting.listed_run import ListedRun
from tfdl.reporting.value_names import value_name


def sort_runs(runs: Iterable[ListedRun], order: str) -> list[ListedRun]:
    """Returns the runs in another order. Runs without a value come last, whatever the direction.

    Args:
        runs: the runs; those of one value keep their order.
        order: the name of a column, a field, a metric such as ``test.accuracy``, or a key of ``config.yaml`` such as
            ``optimizer.learning_rate``: smallest first. With ``-`` in front of the name: largest first.

    Raises:
        UserError: no run has a value of this name.
    """
    listed = list(runs)
    name = field_of(order, listed)
    with_value = [run for run in listed if run.value(name) is not None]
    without_value = [run for run in listed if run.value(name) is None]
    return sorted(with_value, key=lambda run: _rank(run.value(name)), reverse=order.startswith("-")) + without_value


def field_of(order: str, runs: Sequence[ListedRun]) -> str:
    """Returns the name by which runs are sorted, for ``ListedRun.value``.

    Args:
        order: as for ``sort_runs``.
        runs: the runs, whose metrics have names.

    Raises:
        UserError: no run has a value of this name.
    """
    return value_name(order.removeprefix("-"), runs, f"--sort {order!r}")


def _rank(value: Any) -> tuple[bool, Any]:
    """What a value is compared by. A key of the configuration may be a number in one run and a text in another."""
    if isinstance(value, int | float):
        return False, value
    return True, str(value)
