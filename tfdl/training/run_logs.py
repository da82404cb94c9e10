"""The logs of a run: all that rank 0 writes about its course."""

from collections.abc import Callable
from typing import Any, Self

from tfdl.config import TrainConfig
from tfdl.runs import RunDirectory
from tfdl.training.callbacks import Callback, Callbacks, RunPlan, StepReport
from tfdl.training.csv_log import CsvLog
from tfdl.training.metrics_log import MetricsLog
from tfdl.training.pace import Pace
from tfdl.training.run_parts import RunParts
from tfdl.training.samples.choice import samples_of
from tfdl.training.samples.validation_samples import NoSamples, ValidationSamples
from tfdl.training.tensorboard_log import TensorBoardLog
from tfdl.training.tensorboard_samples import TensorBoardSamples
from tfdl.training.tracker import Tracker

# Reports of steps in a log. A run of 100,000 steps then has about 1 MB of metrics.
_MOST_REPORTS = 5000


class RunLogs(Callbacks):
    """Callbacks that get at most about 5,000 reports of steps in a run: their files stay small.

    Reports of validations and epochs are not counted.

    Args:
        members: the logs.
    """

    def __init__(self, members: Any):
        super().__init__(members)
        self._pace: Pace | None = None

    @classmethod
    def of(
        cls, run: RunDirectory, config: TrainConfig, parts: RunParts, step: int, notify: Callable[[str], None]
    ) -> Self:
        """The logs of a run: for programs, as a table, and for TensorBoard. Only the first one may end the run.

        Args:
            run: the run directory.
            config: of the run.
            parts: the model, its task and its data.
            step: the step that the run continues from; 0 for a new run.
            notify: shows a line to the user.
        """

        def samples() -> Callback:
            shown: ValidationSamples = NoSamples()
            if config.log_samples:
                shown = samples_of(parts.model, parts.task, parts.sources["validation"])
            return TensorBoardSamples(run.tensorboard, step, config, shown)

        return cls(
            [
                MetricsLog(run.metrics_path, step),
                Tracker(lambda: CsvLog(run.csv_path, step), run.csv_path.name, notify),
                Tracker(lambda: TensorBoardLog(run.tensorboard, step), "TensorBoard's log", notify),
                Tracker(samples, "TensorBoard's log of samples", notify),
            ]
        )

    def on_start(self, plan: RunPlan) -> None:
        self._pace = Pace(plan.total_steps, _MOST_REPORTS)
        super().on_start(plan)

    def on_steps(self, report: StepReport) -> None:
        assert self._pace is not None
        if self._pace.is_due(report.progress.step):
            super().on_steps(report)
