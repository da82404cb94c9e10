"""What watches a run: each method is called on every rank, at the moment its name says."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfdl.runs import Progress


@dataclass(frozen=True)
class RunPlan:
    """What a run is about to do, for whoever shows it."""

    model: str
    dataset: str
    task: str
    parameters: int
    world_size: int
    batch_size: int
    """Samples that a rank computes at a time."""
    accumulation_steps: int
    """Batches of that size that one optimizer step adds up."""
    global_batch_size: int
    """Samples of one optimizer step, over all ranks."""
    rate_note: str
    """How the learning rate was scaled by the number of ranks; empty where it was not."""
    compilation_note: str
    """What XLA compiles, where it was asked for."""
    steps_per_epoch: int
    total_steps: int
    total_epochs: int | None
    """None where the run ends within an epoch."""
    directory: Path
    resumed_from: int
    """The step that the run goes on from; 0 for a new one."""
    data_notes: tuple[str, ...] = ()
    """What the task says about its data, a line each: samples that are cut, say."""
    headline: tuple[str, ...] = ()
    """Metrics of the validation alone that are to be shown after each epoch."""
    state_note: str = ""
    """Where a recurrent model goes on within an epoch without its state."""
    membership: str = ""
    """In an elastic run, how its ranks have changed; empty for those that it started with."""


@dataclass(frozen=True)
class StepReport:
    """The running epoch after some steps; metrics are over all ranks and the epoch so far."""

    progress: Progress
    metrics: dict[str, float]
    learning_rate: float
    examples_per_second: float


@dataclass(frozen=True)
class EpochReport:
    """One epoch done (or the last part of one, when the run is counted in steps)."""

    progress: Progress
    metrics: dict[str, float]
    validation: dict[str, float]
    seconds: float
    examples_per_second: float
    loss_scale: dict[str, float] = field(default_factory=dict)
    """``loss_scale`` and ``skipped_steps``, of runs in float16."""


class Callback:
    """Override what you need; the base does nothing."""

    def on_start(self, plan: RunPlan) -> None:
        """Everything is built and restored; the first step comes next."""

    def on_steps(self, report: StepReport) -> None:
        """``steps_per_execution`` more steps are done (fewer at an epoch's end)."""

    def on_epoch(self, report: EpochReport) -> None:
        """An epoch is done and validated."""

    def on_end(self, summary: dict[str, Any]) -> None:
        """The run is complete."""

    def close(self) -> None:
        """The run is over, well or not."""


class Callbacks(Callback):
    """Several callbacks as one, called in their order."""

    def __init__(self, members: Sequence[Callback]):
        self._members = list(members)

    def on_start(self, plan: RunPlan) -> None:
        for member in self._members:
            member.on_start(plan)

    def on_steps(self, report: StepReport) -> None:
        for member in self._members:
            member.on_steps(report)

    def on_epoch(self, report: EpochReport) -> None:
        for member in self._members:
            member.on_epoch(report)

    def on_end(self, summary: dict[str, Any]) -> None:
        for member in self._members:
            member.on_end(summary)

    def close(self) -> None:
        for member in self._members:
            member.close()


class MetricsLog(Callback):
    """``metrics.jsonl``: a line for each report of steps and of an epoch.

    Lines past ``step`` are of a part that a stopped run did not checkpoint; a resumed run writes them again.
    """

    def __init__(self, path: Path, step: int):
        kept = []
        if path.exists():
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
                if _step_of(line) <= step:
                    kept.append(line)
        path.write_text("".join(kept), encoding="utf-8")
        self._file = path.open("a", encoding="utf-8")

    def on_start(self, plan: RunPlan) -> None:
        if plan.membership:
            line = {"kind": "ranks", "step": plan.resumed_from, "world_size": plan.world_size, "text": plan.membership}
            self._append(line)

    def on_steps(self, report: StepReport) -> None:
        self._write(
            report.progress,
            "steps",
            learning_rate=report.learning_rate,
            examples_per_second=round(report.examples_per_second, 1),
            train=report.metrics,
        )

    def on_epoch(self, report: EpochReport) -> None:
        self._write(
            report.progress,
            "epoch",
            seconds=round(report.seconds, 3),
            examples_per_second=round(report.examples_per_second, 1),
            train=report.metrics,
            validation=report.validation,
            **report.loss_scale,
        )

    def close(self) -> None:
        self._file.close()

    def _write(self, progress: Progress, kind: str, **values: Any) -> None:
        self._append({"kind": kind, "step": progress.step, "epoch": progress.epoch, **values})

    def _append(self, line: dict[str, Any]) -> None:
        line["time"] = round(time.time(), 3)
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


def _step_of(line: str) -> float:
    """The step of a whole line; infinite for one that a kill tore."""
    try:
        return int(json.loads(line)["step"]) if line.endswith("\n") else math.inf
    except (ValueError, KeyError, TypeError):
        return math.inf


class TensorBoardLog(Callback):
    """``tensorboard/train`` and ``tensorboard/validation``, a scalar for each metric."""

    def __init__(self, folder: Path):
        self._writers = {name: tf.summary.create_file_writer(str(folder / name)) for name in ("train", "validation")}

    def on_steps(self, report: StepReport) -> None:
        values = {**report.metrics, "learning_rate": report.learning_rate}
        self._write("train", report.progress.step, values)

    def on_epoch(self, report: EpochReport) -> None:
        self._write("validation", report.progress.step, report.validation)
        self._write("train", report.progress.step, report.loss_scale)

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()

    def _write(self, name: str, step: int, values: dict[str, float]) -> None:
        with self._writers[name].as_default():
            for metric, value in values.items():
                # tf.summary.scalar imports the tensorboard package; the event itself needs only its metadata.
                tf.summary.write(metric, tf.constant(value, tf.float32), step, metadata=_SCALARS)


_SCALARS = tf.compat.v1.SummaryMetadata(plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"))
