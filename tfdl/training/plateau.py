"""Lowers the learning rate when the validation gets no better."""

from collections.abc import Callable
from typing import Any

from tfdl.config import TrainConfig
from tfdl.training.callbacks import Callback, EpochReport, ValidationReport
from tfdl.training.monitor import Monitor


class Plateau(Callback):
    """Multiplies the learning rate by a factor after so many validations without a better value, and counts anew.

    All ranks have the same metrics, so they decide alike.

    Args:
        monitor: the metric.
        patience: validations in a row without a better value.
        factor: what the rate is multiplied by.
        multiply_rate: multiplies it.
        notify: shows a line to the user, on rank 0.
    """

    def __init__(
        self,
        monitor: Monitor,
        patience: int,
        factor: float,
        multiply_rate: Callable[[float], None],
        notify: Callable[[str], None],
    ):
        self._monitor = monitor
        self._patience = patience
        self._factor = factor
        self._multiply_rate = multiply_rate
        self._notify = notify
        self._best: float | None = None
        self._waited = 0
        self._has_lowered = False

    @classmethod
    def of(
        cls,
        config: TrainConfig,
        monitor: Monitor,
        multiply_rate: Callable[[float], None],
        notify: Callable[[str], None],
    ) -> "Plateau | None":
        """What a run's configuration wants; none if the rate shall not be lowered.

        Args:
            config: of the run.
            monitor: the metric.
            multiply_rate: see the class.
            notify: see the class.
        """
        if config.plateau_patience is None:
            return None
        return cls(monitor, config.plateau_patience, config.plateau_factor, multiply_rate, notify)

    def on_validation_end(self, metrics: dict[str, float]) -> None:
        value = self._monitor.value(metrics)
        if self._monitor.is_better(value, self._best):
            self._best = value
            self._waited = 0
            return
        self._waited += 1
        if self._waited < self._patience:
            return
        self._waited = 0
        self._has_lowered = True
        self._multiply_rate(self._factor)

    def on_validation(self, report: ValidationReport) -> None:  # noqa: ARG002
        self._report()

    def on_epoch(self, report: EpochReport) -> None:  # noqa: ARG002
        self._report()

    def get_state(self) -> dict[str, Any]:
        return {"best": self._best, "waited": self._waited}

    def set_state(self, state: dict[str, Any]) -> None:
        self._best = state["best"]
        self._waited = state["waited"]

    def _report(self) -> None:
        """Reports a lower rate, below the line of the validation."""
        if not self._has_lowered:
            return
        self._has_lowered = False
        validations = "1 validation" if self._patience == 1 else f"{self._patience} validations"
        than = "" if self._best is None else f" than {self._best:.4f}"
        metric = self._monitor.metric
        self._notify(
            f"the learning rate is multiplied by {self._factor:g}: {validations} without a better {metric}{than}"
        )
