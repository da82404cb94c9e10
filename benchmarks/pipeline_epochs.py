"""The second table of `input_pipeline.py`: whether an epoch of a real run waits for its end."""

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf
from pipeline_cases import CASES, open_case, trainer_and_batches
from rich.table import Table

import tfdl
from tfdl.config import compose
from tfdl.training import Callback
from tfdl.training.callbacks import EpochReport, StepReport

Execution = tuple[int, float]
"""Steps of one execution of the graph, and their seconds."""


@dataclass(frozen=True)
class Epochs:
    """The epochs of one run without the first, in which the step is compiled."""

    run: str
    epochs: int
    steps: int
    """Steps of an epoch."""
    over: list[float]
    """For each epoch, the time of its steps divided by their number times the run's median time of a step."""
    between: list[float]
    """For each epoch, its seconds outside of its steps."""


class EpochTimes(Callback):
    """Records the seconds of steps and of epochs."""

    def __init__(self) -> None:
        self.executions: list[list[Execution]] = [[]]
        """For each epoch; the last entry is that of an epoch which has not begun."""
        self.epoch_seconds: list[float] = []
        self._last_step = 0
        self._last_train_seconds = 0.0

    def on_steps(self, report: StepReport) -> None:
        step = report.progress.step
        train_seconds = report.progress.train_seconds
        self.executions[-1].append((step - self._last_step, train_seconds - self._last_train_seconds))
        self._last_step = step
        self._last_train_seconds = train_seconds

    def on_epoch(self, report: EpochReport) -> None:
        self.epoch_seconds.append(report.seconds)
        self.executions.append([])


def epochs_of_run(name: str) -> Epochs:
    """Trains a case with `tfdl.train` and times its epochs."""
    values, _ = CASES[name]
    times = EpochTimes()
    with tempfile.TemporaryDirectory(prefix="tfdl-input-pipeline-") as folder:
        tfdl.train(compose(values), Path(folder) / "run", callbacks=[times])
    return _epochs(name, times.epoch_seconds[1:], times.executions[1:-1])


def epochs_of_new_iterators(name: str, epochs: int = 20) -> Epochs:
    """The control: every epoch makes a new autotuned iterator and ends it, within its time.

    Args:
        name: a key of ``CASES``.
        epochs: how many epochs are trained.
    """
    case = open_case(name)
    trainer, batches = trainer_and_batches(case)
    num_steps = case.steps_per_epoch
    steps_per_execution = case.config.steps_per_execution
    options = tf.data.Options()
    options.autotune.enabled = True
    tuned = batches.take(num_steps).with_options(options)
    epoch_seconds: list[float] = []
    executions: list[list[Execution]] = []
    for _ in range(epochs):
        epoch_start = time.perf_counter()
        iterator = iter(tuned)
        executions.append([])
        for first in range(0, num_steps, steps_per_execution):
            steps = min(steps_per_execution, num_steps - first)
            start = time.perf_counter()
            trainer.run(iterator, steps)
            trainer.take_sums()
            executions[-1].append((steps, time.perf_counter() - start))
        del iterator  # ending it may wait for the autotuner's thread
        epoch_seconds.append(time.perf_counter() - epoch_start)
    return _epochs(f"control: {name}", epoch_seconds[1:], executions[1:])


def _epochs(name: str, epoch_seconds: list[float], executions: list[list[Execution]]) -> Epochs:
    """Summarizes the epochs of a run.

    The time of a step is the median over executions with the full number of steps: the last one of an epoch is short.
    """
    full = max(steps for steps, _ in executions[0])
    step_times = [seconds / steps for epoch in executions for steps, seconds in epoch if steps == full]
    step_seconds = statistics.median(step_times)
    num_steps = sum(steps for steps, _ in executions[0])
    in_steps = [sum(seconds for _, seconds in epoch) for epoch in executions]
    over = [seconds / (num_steps * step_seconds) for seconds in in_steps]
    between = [whole - part for whole, part in zip(epoch_seconds, in_steps, strict=True)]
    return Epochs(name, len(epoch_seconds), num_steps, over, between)


def epochs_table(runs: list[Epochs]) -> Table:
    """Makes the second table for the terminal."""
    table = Table("run", "epochs", "steps each", "steps", "worst", "between, ms", "worst")
    for run in runs:
        table.add_row(
            run.run,
            str(run.epochs),
            str(run.steps),
            f"{statistics.median(run.over):.2f}",
            f"{max(run.over):.2f}",
            f"{1e3 * statistics.median(run.between):.0f}",
            f"{1e3 * max(run.between):.0f}",
        )
    return table
