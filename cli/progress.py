"""What ``tfdl train`` shows: a line for each epoch, a bar that moves on a terminal, and the results at the end."""

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Column, Table

from tfdl import __version__
from tfdl.cli.failures import is_printing_rank
from tfdl.training import Callback
from tfdl.training.callbacks import EpochReport, RunPlan, StepReport

# A run on a pipe or in a log has no bar; it says where it is this often, in seconds, within a long epoch.
_QUIET_SECONDS = 30.0


class Progress(Callback):
    """Prints on the chief alone."""

    def __init__(self, console: Console | None = None):
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._bar: Bar | None = None
        self._task: Any = None
        self._spoke = time.monotonic()

    def on_start(self, plan: RunPlan) -> None:
        self._plan = plan
        self._console.quiet = not is_printing_rank()
        if plan.membership:
            self._console.print(plan.membership)
        else:
            self._introduce(plan)
        for note in plan.notes:
            self._console.print(note)
        if self._console.is_terminal:
            self._start_bar(plan)

    def _introduce(self, plan: RunPlan) -> None:
        ranks = "1 rank" if plan.world_size == 1 else f"{plan.world_size} ranks"
        self._console.print(f"[bold]tfdl {__version__}[/bold]  {plan.model} on {plan.dataset}, {plan.task}")
        times = f", {plan.accumulation_steps} times a step" if plan.accumulation_steps > 1 else ""
        self._console.print(
            f"{plan.parameters:,} parameters, {ranks}, batch {plan.batch_size} a rank{times}"
            f" ({plan.global_batch_size} a step), {plan.steps_per_epoch} steps an epoch"
        )
        self._console.print(f"run directory {plan.directory}")
        if plan.resumed_from:
            self._console.print(f"going on from step {plan.resumed_from}")

    def on_steps(self, report: StepReport) -> None:
        text = f"{_shown(report.metrics)}  {report.examples_per_second:,.0f} examples/s"
        if self._bar is not None:
            self._bar.update(self._task, completed=report.progress.step, metrics=text)
        elif time.monotonic() - self._spoke > _QUIET_SECONDS:
            self._say(f"step {report.progress.step}/{self._plan.total_steps}  {text}")

    def on_epoch(self, report: EpochReport) -> None:
        names = [name for name in (*report.metrics, *self._plan.headline) if name in report.validation]
        validation = {f"val_{name}": report.validation[name] for name in names}
        shown = f"{self._where(report)}  {_shown(report.metrics)}  {_shown(validation)}"
        self._say(shown + _scaling(report.loss_scale) + self._pace(report))

    def on_end(self, summary: dict[str, Any]) -> None:
        self.close()
        splits = ("validation", "test")
        table = Table("metric", *(Column(split, justify="right") for split in splits))  # narrow, however many metrics
        for name in summary["test"]:
            values = (summary[split].get(name) for split in splits)
            table.add_row(name, *("" if value is None else f"{value:.4f}" for value in values))
        self._console.print(table)
        rate = summary["examples_per_second"]  # 0 when the one execution that there was compiled
        speed = f" {rate:,.0f} examples/s;" if rate else ""
        self._console.print(
            f"{summary['steps']} steps in {_duration(summary['wall_seconds'])};"
            f"{speed} weights {summary['weights_sha256'][:12]}"
        )
        run = self._plan.directory
        self._console.print(f"Next:\n  tfdl evaluate {run}\n  tfdl export {run} exported/{run.name}")

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _start_bar(self, plan: RunPlan) -> None:
        columns = (
            TextColumn("step {task.completed:.0f}/{task.total:.0f}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[metrics]}"),
            TimeRemainingColumn(),
        )
        self._bar = Bar(*columns, console=self._console, transient=True)
        self._task = self._bar.add_task("train", total=plan.total_steps, completed=plan.resumed_from, metrics="")
        self._bar.start()

    def _say(self, line: str) -> None:
        self._spoke = time.monotonic()
        self._console.print(line)

    def _where(self, report: EpochReport) -> str:
        total, epoch = self._plan.total_epochs, report.progress.epoch
        if total is None or report.progress.sample:
            return f"step {report.progress.step}/{self._plan.total_steps}"
        return f"epoch {epoch:{len(str(total))}}/{total}"

    def _pace(self, report: EpochReport) -> str:
        """Speed, and time left by the last epoch's whole duration, validation and checkpoint included.

        Nothing for an epoch of the first execution alone, which compiles.
        """
        if not report.examples_per_second:
            return ""
        left = report.seconds / self._plan.steps_per_epoch * (self._plan.total_steps - report.progress.step)
        return f"  {report.examples_per_second:,.0f} examples/s" + (f"  {_duration(left)} left" if left >= 1 else "")


def _shown(metrics: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())


def _scaling(found: dict[str, float]) -> str:
    """What scaling cost in float16: nothing to say until a step was skipped."""
    if not found.get("skipped_steps"):
        return ""
    return f"  {found['skipped_steps']} steps skipped, loss scale {found['loss_scale']:g}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {rest:02}s" if minutes else f"{rest}s"
