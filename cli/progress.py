"""What ``tfdl train`` prints: a progress bar on a terminal, a line for each epoch, and the results at the end."""

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Column, Table

from tfdl import __version__
from tfdl.cli.cells import duration
from tfdl.cli.failures import is_printing_rank
from tfdl.data.labels import shown
from tfdl.errors import RunError
from tfdl.training import Callback
from tfdl.training.callbacks import EpochReport, RunPlan, StepReport, ValidationReport

# Without a terminal there is no bar: within a long epoch, a line is printed this often.
_SECONDS_BETWEEN_LINES = 30.0
# Task -> the command that uses the run, and what stands for its input.
_EXAMPLES = {
    "image-classification": ("predict", "IMAGE..."),
    "text-classification": ("predict", "'TEXT'"),
    "language-modeling": ("generate", "--prompt 'TEXT'"),
    "translation": ("predict", "'TEXT'"),
}


class _Console(Console):
    """A console whose closed output ends the run with an error. Rich would exit without a reason."""

    def on_broken_pipe(self) -> None:
        with suppress(SystemExit):
            super().on_broken_pipe()
        raise RunError("nobody reads the output any more (broken pipe)")


class Progress(Callback):
    """Prints the progress of a run, on rank 0 only.

    Args:
        console: where to print; by default standard output.
        is_trial: whether nothing is kept of the run.
    """

    def __init__(self, console: Console | None = None, *, is_trial: bool = False):
        self._is_trial = is_trial
        self._console = console or _Console(highlight=False, soft_wrap=True)
        self._bar: Bar | None = None
        self._task: Any = None
        self._last_line_time = time.monotonic()
        self._last_report: EpochReport | None = None
        self._last_steps_metrics: dict[str, float] = {}
        self._warnings: list[str] = []

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
        self._console.print(f"[bold]tfdl {__version__}[/bold]  {plan.model} on {plan.dataset}, {plan.task}")
        num_ranks = "1 rank" if plan.world_size == 1 else f"{plan.world_size} ranks"
        batch = f"batch {plan.batch_size} a rank"
        if plan.accumulation_steps > 1:
            batch += f", {plan.accumulation_steps} times a step"
        self._console.print(
            f"{plan.parameters:,} parameters, {num_ranks}, {batch}"
            f" ({plan.global_batch_size} a step), {plan.steps_per_epoch} steps an epoch"
        )
        self._console.print(plan.samples)
        if plan.class_names:
            self._console.print(f"{len(plan.class_names)} classes: {shown(plan.class_names)}", markup=False)
        self._console.print(f"run directory {plan.directory}")
        if plan.resumed_from:
            self._console.print(f"resuming from step {plan.resumed_from}")

    def on_steps(self, report: StepReport) -> None:
        self._last_steps_metrics = report.metrics
        text = f"{_shown(report.metrics)}  {report.examples_per_second:,.0f} examples/s"
        if self._bar is not None:
            self._bar.update(self._task, completed=report.progress.step, metrics=text)
        elif time.monotonic() - self._last_line_time > _SECONDS_BETWEEN_LINES:
            self._print_line(f"step {report.progress.step}/{self._plan.total_steps}  {text}")

    def on_epoch(self, report: EpochReport) -> None:
        self._last_report = report
        metrics = f"{_shown(report.metrics)}  {self._headline(report.metrics, report.validation)}"
        scaling = _scaling(report.loss_scale)
        self._print_line(f"{self._position(report)}  {metrics}{scaling}{self._pace(report)}")

    def on_validation(self, report: ValidationReport) -> None:
        validation = self._headline(self._last_steps_metrics, report.validation)
        self._print_line(f"step {report.progress.step}/{self._plan.total_steps}  {validation}")

    def on_notice(self, text: str) -> None:
        self._print_line(text)

    def on_warning(self, text: str) -> None:
        self._warnings.append(text)

    def on_end(self, summary: dict[str, Any]) -> None:
        self.close()
        self._console.print(_results_table(summary))
        line = f"{summary['steps']} steps in {duration(summary['wall_seconds'])};"
        rate = summary["examples_per_second"]
        if rate:  # it is 0 if the run's only graph call was the one that compiled
            line += f" {rate:,.0f} examples/s;"
        if self._is_trial:
            seconds = duration(summary["wall_seconds"])
            self._console.print(f"fast dev run: every part of the run worked, in {seconds}; nothing is kept")
            return
        self._console.print(f"{line} weights {summary['weights_sha256'][:12]}")
        for warning in self._warnings:
            self._console.print(f"warning: {warning}", markup=False)
        best = self._best(summary)
        if best:
            self._console.print(best)
        self._console.print("\n".join(["Next:", *self._next_commands(bool(best))]), markup=False)

    def _best(self, summary: dict[str, Any]) -> str:
        """Names the best checkpoint, unless it is the last one, whose results the table shows."""
        if self._last_report is None:
            return ""
        progress = self._last_report.progress
        is_last = progress.best_step in (None, summary["steps"])
        is_as_good = summary["validation"].get(self._plan.monitor) == progress.best_value
        if is_last or is_as_good:
            return ""
        return (
            f"These are the results of the last step. The best validation {self._plan.monitor} was"
            f" {progress.best_value:.4f}, at step {progress.best_step}: --checkpoint best"
        )

    def _next_commands(self, has_other_best: bool) -> list[str]:
        run = self._plan.directory
        options = "".join(f" --plugin {name}" for name in self._plan.plugins)
        if has_other_best:
            options += " --checkpoint best"
        evaluate = f"tfdl evaluate {run}{options}"
        if self._plan.dataset == "python":
            evaluate = f"tfdl.evaluate({str(run)!r}, data=...) in Python"
        commands = [f"  {evaluate}"]
        if self._plan.task in _EXAMPLES:
            command, example = _EXAMPLES[self._plan.task]
            commands.append(f"  tfdl {command} {run} {example}{options}")
        return [*commands, f"  tfdl export {run} exported/{run.name}{options}"]

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

    def _headline(self, training: Iterable[str], validation: Mapping[str, float]) -> str:
        """The validation metrics that are also measured in training, and the task's headline."""
        names = [name for name in (*training, *self._plan.headline) if name in validation]
        return _shown({f"val_{name}": validation[name] for name in names})

    def _print_line(self, line: str) -> None:
        self._last_line_time = time.monotonic()
        self._console.print(line)

    def _position(self, report: EpochReport) -> str:
        """``epoch  3/20``, or the step if the run ends within an epoch."""
        epochs = self._plan.total_epochs
        if epochs is None or report.progress.sample:
            return f"step {report.progress.step}/{self._plan.total_steps}"
        width = len(str(epochs))
        return f"epoch {report.progress.epoch:{width}}/{epochs}"

    def _pace(self, report: EpochReport) -> str:
        """The speed, and the time that is left.

        The time is computed from the whole duration of the last epoch, with validation and checkpoint. It is empty for
        an epoch that had only the first graph call, which compiles.
        """
        if not report.examples_per_second:
            return ""
        pace = f"  {report.examples_per_second:,.0f} examples/s"
        remaining_steps = self._plan.total_steps - report.progress.step
        remaining_seconds = report.seconds / self._plan.steps_per_epoch * remaining_steps
        if remaining_seconds >= 1:
            pace += f"  {duration(remaining_seconds)} left"
        return pace


def _shown(metrics: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())


def _results_table(summary: dict[str, Any]) -> Table:
    """A line for each metric, so that the table is narrow, however many metrics there are."""
    splits = ("validation", "test")
    table = Table("metric", *(Column(split, justify="right") for split in splits))
    for name in summary["test"]:
        values = [summary[split].get(name) for split in splits]
        cells = ["" if value is None else f"{value:.4f}" for value in values]
        table.add_row(name, *cells)
    return table


def _scaling(loss_scale: dict[str, float]) -> str:
    """The loss scale in float16, once a step was skipped."""
    skipped_steps = loss_scale.get("skipped_steps")
    if not skipped_steps:
        return ""
    steps = "1 step" if skipped_steps == 1 else f"{skipped_steps} steps"
    return f"  {steps} skipped, loss scale {loss_scale['loss_scale']:g}"
