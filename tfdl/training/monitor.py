"""The validation metric by which a run decides."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tfdl.config import TrainConfig
from tfdl.errors import UserError, nearest
from tfdl.tasks.task import Task


@dataclass(frozen=True)
class Monitor:
    """A metric, and which of its values are better."""

    metric: str
    larger_is_better: bool

    @classmethod
    def of(cls, config: TrainConfig, task: Task) -> "Monitor":
        """The metric that the configuration names, or else the task's.

        Args:
            config: of the run.
            task: of the run.

        Raises:
            UserError: it is not known whether larger values of the metric are better.
        """
        metric = config.monitor or task.monitor
        larger_is_better = task.prefers_larger(metric)
        if larger_is_better is None:
            raise UserError(
                f"monitor={metric!r}, but it is not known whether larger values of it are better; expected a metric"
                f" such as loss or {task.monitor}"
            )
        return cls(metric, larger_is_better)

    def value(self, validation: Mapping[str, float]) -> float:
        """The metric's value.

        Args:
            validation: all metrics of a validation.

        Raises:
            UserError: there is no such metric.
        """
        if self.metric not in validation:
            names = ", ".join(validation)
            raise UserError(
                f"monitor={self.metric!r}, expected a metric of the validation: {names}."
                f"{nearest(self.metric, validation)}"
            )
        return validation[self.metric]

    def is_better(self, value: float, best: float | None, by: float = 0.0) -> bool:
        """Whether a value is better than the best one until now.

        Args:
            value: the new value.
            best: the best one; none if the new one is the first.
            by: how much better it must be, at least.
        """
        if math.isnan(value):
            return False
        if best is None:
            return True
        return value > best + by if self.larger_is_better else value < best - by
