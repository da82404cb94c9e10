"""``metrics.csv``: a run's metrics as a table, for spreadsheets and pandas."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from tfdl.runs import Progress
from tfdl.runs.atomic import new_file
from tfdl.training.callbacks import Callback, EpochReport, StepReport, ValidationReport

_FIRST_COLUMNS = ("kind", "step", "epoch")


class CsvLog(Callback):
    """Writes a row for each report of steps, of a validation and of an epoch: the values of ``metrics.jsonl``.

    The metrics of the training and validation split have the columns ``train_NAME`` and ``validation_NAME``. A report
    that has no value leaves the cell empty. A new column is added at the end: the file is then written anew.

    Args:
        path: of the file. Rows of steps after ``step`` are removed, because the resumed run repeats these steps.
        step: the step that the run continues from; 0 for a new run.
    """

    def __init__(self, path: Path, step: int):
        self._path = path
        self._columns: list[str] = []
        self._keep_until(step)

    def on_steps(self, report: StepReport) -> None:
        values = {
            "learning_rate": report.learning_rate,
            "examples_per_second": round(report.examples_per_second, 1),
            **_named("train", report.metrics),
            **report.norms,
        }
        self._append("steps", report.progress, values)

    def on_validation(self, report: ValidationReport) -> None:
        values = {"seconds": round(report.seconds, 3), **_named("validation", report.validation)}
        self._append("validation", report.progress, values)

    def on_epoch(self, report: EpochReport) -> None:
        values = {
            "examples_per_second": round(report.examples_per_second, 1),
            **_named("train", report.metrics),
            "seconds": round(report.seconds, 3),
            **_named("validation", report.validation),
            **report.loss_scale,
        }
        self._append("epoch", report.progress, values)

    def on_return(self, progress: Progress) -> None:
        self._keep_until(progress.step)

    def _append(self, kind: str, progress: Progress, values: Mapping[str, Any]) -> None:
        row = {"kind": kind, "step": progress.step, "epoch": progress.epoch, **values}
        new_columns = [name for name in row if name not in self._columns]
        if new_columns:
            rows = self._rows()
            self._columns += new_columns
            self._write(rows)
        cells = [row.get(name, "") for name in self._columns]  # NaN and infinity as pandas reads them
        with self._path.open("a", encoding="utf-8", newline="") as file:
            _writer(file).writerow(cells)

    def _rows(self) -> list[dict[str, Any]]:
        """The rows of the file; the last one may be incomplete, if the process was killed while it was written."""
        if not self._path.exists():
            return []
        lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        complete = [line for line in lines if line.endswith("\n")]
        return [row for row in csv.DictReader(complete) if str(row.get("step")).isdecimal()]

    def _keep_until(self, step: int) -> None:
        """Removes the rows of later steps."""
        rows = [row for row in self._rows() if int(row["step"]) <= step]
        self._columns = list(rows[0]) if rows else list(_FIRST_COLUMNS)
        self._write(rows)

    def _write(self, rows: list[dict[str, Any]]) -> None:
        with new_file(self._path) as file:
            writer = _writer(file)
            writer.writerow(self._columns)
            writer.writerows([row.get(name) or "" for name in self._columns] for row in rows)


def _writer(file: TextIO) -> Any:
    return csv.writer(file, lineterminator="\n")


def _named(split: str, metrics: Mapping[str, float]) -> dict[str, float]:
    return {f"{split}_{name}": value for name, value in metrics.items()}
