"""Logs that must not end a run."""

from collections.abc import Callable
from typing import Any

from tfdl.errors import first_line
from tfdl.runs import Progress
from tfdl.tasks.task import Rows
from tfdl.training.callbacks import Callback, EpochReport, RunPlan, StepReport, ValidationReport


class Tracker(Callback):
    """A callback that only watches. If it fails, a warning is printed, and the run continues without it.

    Args:
        make: makes the callback, when the run starts.
        what: it writes, in messages.
        notify: shows a line to the user.
    """

    def __init__(self, make: Callable[[], Callback], what: str, notify: Callable[[str], None]):
        self._make = make
        self._what = what
        self._notify = notify
        self._callback: Callback | None = None

    def on_start(self, plan: RunPlan) -> None:
        def start() -> None:
            self._callback = self._make()
            self._callback.on_start(plan)

        self._try(start)

    def on_epoch_begin(self, progress: Progress) -> None:
        self._call("on_epoch_begin", progress)

    def on_steps(self, report: StepReport) -> None:
        self._call("on_steps", report)

    def on_validation_rows(self, progress: Progress, rows: Rows) -> None:
        self._call("on_validation_rows", progress, rows)

    def on_validation(self, report: ValidationReport) -> None:
        self._call("on_validation", report)

    def on_epoch(self, report: EpochReport) -> None:
        self._call("on_epoch", report)

    def on_return(self, progress: Progress) -> None:
        self._call("on_return", progress)

    def on_training_end(self) -> None:
        self._call("on_training_end")

    def on_end(self, summary: dict[str, Any]) -> None:
        self._call("on_end", summary)

    def close(self) -> None:
        self._call("close")

    def _call(self, name: str, *arguments: Any) -> None:
        callback = self._callback
        if callback is not None:
            self._try(lambda: getattr(callback, name)(*arguments))

    def _try(self, work: Callable[[], Any]) -> None:
        try:
            work()
        except Exception as error:
            self._callback = None
            self._notify(f"warning: {self._what} ends here, and the run goes on: {first_line(error)}")
