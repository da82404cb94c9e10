"""Which checkpoint of a run is the best, and by which metric."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tfdl.errors import UserError
from tfdl.reporting.checked_values import count_or_zero
from tfdl.reporting.facts.curves import Curves
from tfdl.reporting.facts.report_means import finite
from tfdl.reporting.json_file import read_json_object
from tfdl.runs.run_directory import RunDirectory
from tfdl.tasks.metric_directions import larger_is_better

# If several metrics have the recorded value, it is that of the first of these.
_MONITORED = ("accuracy", "loss")
# A file may contain any number.
_MOST_STEPS = 2**63

Verdict = Literal["same", "equal", "worse", "better", "not validated", "not comparable"]
"""What the newest checkpoint is, compared with the best one."""


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
    """The step of the newest checkpoint."""
    last_value: float | None
    """The same metric at that step; None if it was not validated there."""

    @property
    def last(self) -> Verdict:
        """What the newest checkpoint is, compared with this one."""
        if self.step == self.last_step:
            return "same"
        direction = larger_is_better(self.metric) if self.metric is not None else None
        if self.metric is None:
            return "not comparable"
        if self.last_value is None:
            return "not validated"
        if self.last_value == self.value:
            return "equal"
        if direction is None:
            return "not comparable"
        return "better" if (self.last_value > self.value) == direction else "worse"


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
    last_step = count_or_zero(progress.get("step"))
    value = finite(progress.get("best_value"))
    if not 0 < step < _MOST_STEPS or not 0 < last_step < _MOST_STEPS or value is None:
        return None
    metric = _metric_of(curves, step, value)
    folder = run.checkpoints / f"step-{step:08d}"
    return BestCheckpoint(
        step=step,
        value=value,
        metric=metric,
        name=folder.name if folder.is_dir() else None,
        last_step=last_step,
        last_value=curves.validation[metric].at(last_step) if metric is not None else None,
    )


def _metric_of(curves: Curves, step: int, value: float) -> str | None:
    """The validation metric that had this value; its name is not recorded with the checkpoint."""
    names = [name for name, series in curves.validation.items() if series.at(step) == value]
    preferred = [name for name in _MONITORED if name in names]
    if len(preferred) > 1:
        return None  # an accuracy and a loss of the same value: either may be the monitored one
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
        return read_json_object(newest / "progress.json")
    except (UserError, OSError):
        return {}
