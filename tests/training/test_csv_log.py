"""``metrics.csv``, and logs that fail and do not end the run."""

import csv
import json

import pytest

import tfdl
from tfdl.errors import StoppedError
from tfdl.runs import Progress
from tfdl.training.callbacks import Callback, StepReport
from tfdl.training.csv_log import CsvLog
from tfdl.training.tracker import Tracker


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def without_seconds(rows):
    return [{name: cell for name, cell in row.items() if "second" not in name} for row in rows]


def test_it_has_the_values_of_metrics_jsonl(tiny, tmp_path):
    run = tfdl.train(tiny(validation_steps=5, log_norms=True), tmp_path / "run")
    reports = [json.loads(line) for line in run.metrics_path.read_text().splitlines()]
    rows = table(run.path / "metrics.csv")
    assert [(row["kind"], int(row["step"])) for row in rows] == [(r["kind"], r["step"]) for r in reports]
    for row, report in zip(rows, reports, strict=True):
        for split in ("train", "validation"):
            for name, value in report.get(split, {}).items():
                assert float(row[f"{split}_{name}"]) == value
        assert (row["gradient_norm"] != "") == (report["kind"] == "steps")
    assert rows[0]["validation_loss"] == ""
    assert list(rows[0])[:3] == ["kind", "step", "epoch"]


class Stop(Callback):
    def on_steps(self, report):
        if report.progress.step == 17:
            raise StoppedError("enough")


def test_a_resumed_run_has_each_step_once(tiny, tmp_path, trained_run):
    """It was killed while a row was written, after its last checkpoint."""
    with pytest.raises(StoppedError):
        tfdl.train(tiny(), tmp_path / "run", callbacks=[Stop()])
    path = tmp_path / "run" / "metrics.csv"
    assert table(path)[-1]["step"] == "17"
    path.write_text(path.read_text() + "steps,22,1,0.0")
    tfdl.train(tiny(), tmp_path / "run", resume=True)
    expected = without_seconds(table(trained_run.path / "metrics.csv"))
    assert len(expected) > 4
    assert without_seconds(table(path)) == expected


def report(step, **metrics):
    return StepReport(Progress(step=step), metrics, 0.5, 10.0)


def test_new_columns_names_with_commas_and_numbers_that_are_none(tmp_path):
    log = CsvLog(tmp_path / "a.csv", 0)
    log.on_steps(report(1, loss=float("nan")))
    log.on_steps(report(2, **{"loss": float("-inf"), 'a, "b"': 1.5}))
    log.on_steps(report(3, loss=1.0))
    rows = table(tmp_path / "a.csv")
    assert [row["train_loss"] for row in rows] == ["nan", "-inf", "1.0"]
    assert [row['train_a, "b"'] for row in rows] == ["", "1.5", ""]
    log.on_return(Progress(step=2))
    log.on_steps(report(3, loss=2.0))
    assert [row["train_loss"] for row in table(tmp_path / "a.csv")] == ["nan", "-inf", "2.0"]


def test_a_log_that_cannot_be_written_does_not_end_the_run(tiny, tmp_path):
    """After the first report the file is gone, and a folder has its name."""
    notices = []

    class Watch(Callback):
        def on_start(self, plan):
            self.path = plan.directory / "metrics.csv"

        def on_steps(self, report):
            if report.progress.step == 5:
                self.path.unlink()
                self.path.mkdir()

        def on_notice(self, text):
            notices.append(text)

    run = tfdl.train(tiny(epochs=1), tmp_path / "run", callbacks=[Watch()])
    assert run.read_summary()["steps"] == 12
    (notice,) = notices
    assert notice.startswith("warning: metrics.csv ends here, and the run goes on: ")


def test_a_tracker_fails_once():
    notices, calls = [], []

    class Failing(Callback):
        def on_steps(self, report):
            calls.append(report.progress.step)
            raise OSError(28, "No space left on device")

        def close(self):
            calls.append("close")

    tracker = Tracker(Failing, "the log", notices.append)
    tracker.on_steps(report(0))
    tracker.on_start(None)
    tracker.on_steps(report(1))
    tracker.on_steps(report(2))
    tracker.close()
    assert calls == [1]
    assert notices == ["warning: the log ends here, and the run goes on: [Errno 28] No space left on device"]
