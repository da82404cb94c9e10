"""Ends a training whose validation gets no better."""

from typing import Any

from tfdl.config import TrainConfig
from tfdl.training.callbacks import Callback
from tfdl.training.monitor import Monitor


class EarlyStopping(Callback):
    """Counts the validations without a better value (Prechelt, 1998, https://doi.org/10.1007/3-540-49430-8_3).

    All ranks have the same metrics, so they decide alike.

    Args:
        monitor: the metric.
        patience: so many validations in a row without a better value end training.
        min_delta: how much better a value must be, at least.

    Attributes:
        reason: why training has ended, in words; empty if it has not.
    """

    def __init__(self, monitor: Monitor, patience: int, min_delta: float):
        self.reason = ""
        self._monitor = monitor
        self._patience = patience
        self._min_delta = min_delta
        self._best: float | None = None
        self._waited = 0

    @classmethod
    def of(cls, config: TrainConfig, monitor: Monitor) -> "EarlyStopping | None":
        """What a run's configuration wants; none if training shall not end early.

        Args:
            config: of the run.
            monitor: the metric.
        """
        if config.early_stopping_patience is None:
            return None
        return cls(monitor, config.early_stopping_patience, config.early_stopping_min_delta)

    def on_validation_end(self, metrics: dict[str, float]) -> None:
        value = self._monitor.value(metrics)
        if self._monitor.is_better(value, self._best, self._min_delta):
            self._best = value
            self._waited = 0
            return
        self._waited += 1
        self._decide()

    def get_state(self) -> dict[str, Any]:
        return {"best": self._best, "waited": self._waited}

    def set_state(self, state: dict[str, Any]) -> None:
        self._best = state["best"]
        self._waited = state["waited"]
        self._decide()  # the run may have been killed after the last validation

    def _decide(self) -> None:
        if self._waited < self._patience:
            return
        self.wants_stop = True
        validations = "1 validation" if self._waited == 1 else f"{self._waited} validations"
        if self._best is None:  # all values were NaN
            self.reason = f"stopped early: {validations} whose {self._monitor.metric} is not a number"
        else:
            metric = self._monitor.metric
            self.reason = f"stopped early: {validations} without a better {metric} than {self._best:.4f}"
