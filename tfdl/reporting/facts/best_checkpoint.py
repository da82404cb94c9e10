"""Which checkpoint of a run is the best, and by which metric."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tfdl.reporting.checked_values import count_or_zero
from tfdl.reporting.facts.curves import Curves
from tfdl.reporting.facts.report_means import finite
from tfdl.runs.run_directory import RunDirectory

# If several metrics have the recorded value, it is that of the first of these.
_MONITORED = ("accuracy", "loss")
# A file may contain any number.
_MOST_STEPS = 2**63


@dataclass(frozen=True)
class BestCheckpoint:
    """The best checkpoint, by the metric that the task monitors."""

    step: int
    value: float
    """Of the monitored validation metric."""
    metric: str | None
    """The name of this metric; None if the logs do not have it."""
    name: str | None
    """The checkpoint's folder; None if it is not there any more."""
    last_step: int
    """The step of the last validation."""
    last_value: float | None
    """The same metric at the last validation."""

    @property
    def is_last(self) -> bool:
        """Whether no later validation was worse, or there was none."""
        return self.step >= self.last_step


def best_checkpoint(run: RunDirectory, curves: Curves, progress: Mapping[str, Any]) -> BestCheckpoint | None:
    """Which checkpoint is the best, as the training recorded it.

    Args:
        run: the run.
        curves: of the run.
        progress: of its newest checkpoint.

    Returns:
        The checkpoint; None if no validation was recorded.
    """
    step = count_or_zero(progress.get("best_step"))
    value = finite(progress.get("best_value"))
    if not 0 < step < _MOST_STEPS or value is None:
        return None
    metric = _metric_of(curves, step, value)
    validations = curves.validation[metric] if metric is not None else None
    folder = run.checkpoints / f"step-{step:08d}"
    return BestCheckpoint(
        step=step,
        value=value,
        metric=metric,
        name=folder.name if folder.is_dir() else None,
        last_step=validations.steps[-1] if validations else step,
        last_value=validations.values[-1] if validations else None,
    )


def _metric_of(curves: Curves, step: int, value: float) -> str | None:
    """The validation metric that had this value; its name is not recorded with the checkpoint."""
    names = [name for name, series in curves.validation.items() if series.at(step) == value]
    preferred = [name for name in _MONITORED if name in names]
    return next(iter([*preferred, *names]), None)


def read_progress(run: RunDirectory) -> Mapping[str, Any]:
    """The progress that the newest checkpoint records; empty if there is none that can be read.

    Args:
        run: the run.
    """
    newest = run.newest_checkpoint()
    if newest is None:
        return {}
    try:
        values = json.loads((newest / "progress.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
