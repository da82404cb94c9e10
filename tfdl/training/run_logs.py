"""The logs of a run: all that rank 0 writes about its course."""

from typing import Any

from tfdl.training.callbacks import Callbacks, RunPlan, StepReport
from tfdl.training.pace import Pace

# Reports of steps in a log. A run of 100,000 steps then has about 1 MB of metrics.
_MOST_REPORTS = 5000


class RunLogs(Callbacks):
    """Callbacks that get at most about 5,000 reports of steps in a run, so that their files stay small.

    Reports of validations and epochs are not counted.

    Args:
        members: the logs.
    """

    def __init__(self, members: Any):
        super().__init__(members)
        self._pace: Pace | None = None

    def on_start(self, plan: RunPlan) -> None:
        self._pace = Pace(plan.total_steps, _MOST_REPORTS)
        super().on_start(plan)

    def on_steps(self, report: StepReport) -> None:
        assert self._pace is not None
        if self._pace.is_due(report.progress.step):
            super().on_steps(report)
