"""``metrics.jsonl``: a run's metrics, one line for each report."""

import json
import math
import time
from pathlib import Path
from typing import Any, TextIO

from tfdl.runs import Progress
from tfdl.runs.atomic import write_text
from tfdl.runs.json_values import json_values
from tfdl.training.callbacks import Callback, EpochReport, RunPlan, StepReport, ValidationReport


class MetricsLog(Callback):
    """Writes a line for each report of steps and of an epoch.

    Args:
        path: of the file. Lines of steps after ``step`` are removed, because the resumed run repeats these steps.
        step: the step that the run continues from; 0 for a new run.
    """

    def __init__(self, path: Path, step: int):
        self._path = path
        self._file = _opened(path, step)

    def on_start(self, plan: RunPlan) -> None:
        if plan.membership:
            self._append(
                {"kind": "ranks", "step": plan.resumed_from, "world_size": plan.world_size, "text": plan.membership}
            )

    def on_steps(self, report: StepReport) -> None:
        self._write(
            report.progress,
            "steps",
            learning_rate=report.learning_rate,
            examples_per_second=round(report.examples_per_second, 1),
            train=report.metrics,
            **report.norms,
        )

    def on_validation(self, report: ValidationReport) -> None:
        self._write(report.progress, "validation", seconds=round(report.seconds, 3), validation=report.validation)

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

    def on_return(self, progress: Progress) -> None:
        self._file.close()
        self._file = _opened(self._path, progress.step)
        text = f"diverged; back to step {progress.step}, with {progress.rate_factor:g} times the learning rate"
        self._append({"kind": "return", "step": progress.step, "rate_factor": progress.rate_factor, "text": text})

    def close(self) -> None:
        self._file.close()

    def _write(self, progress: Progress, kind: str, **values: Any) -> None:
        self._append({"kind": kind, "step": progress.step, "epoch": progress.epoch, **values})

    def _append(self, line: dict[str, Any]) -> None:
        line["time"] = round(time.time(), 3)
        self._file.write(json.dumps(json_values(line)) + "\n")
        self._file.flush()


def _opened(path: Path, step: int) -> TextIO:
    """The file, without lines of later steps, to be appended to."""
    if path.exists():
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        kept = [line for line in lines if _step_of(line) <= step]
        if kept != lines:
            write_text(path, "".join(kept))
    return path.open("a", encoding="utf-8")


def _step_of(line: str) -> float:
    """The step of a line; infinite for a line that was not written completely."""
    if not line.endswith("\n"):
        return math.inf
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf
