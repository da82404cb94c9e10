"""Findings from the files of a run."""

import json
import os

import pytest

from tests.reporting.made_report import reports
from tests.reporting.made_run import DONE, SUMMARY, make_run
from tfdl.errors import UserError
from tfdl.reporting.facts.run_facts import read_facts
from tfdl.reporting.facts.training_findings import recorded_result, state_finding, training_findings
from tfdl.reporting.measuring.measured import Measured
from tfdl.reporting.page.results import cost_rows
from tfdl.reporting.reported_run import ReportedRun

HUGE = json.dumps(dict.fromkeys(("test", "step", "best_step", "train_seconds", "examples"), 10**400))


def facts(folder, lines=(), *, progress=None, **files):
    files = {"summary": SUMMARY, "status": DONE} | files
    return read_facts(make_run(folder / "run", reports=tuple(lines), progress=progress, **files))


def found(run, measured=""):
    return {finding.name: finding for finding in training_findings(run, measured)}


def test_the_last_checkpoint_is_the_best(tmp_path):
    progress = {"step": 60, "best_step": 60, "best_value": 0.9}
    finding = found(facts(tmp_path, reports(), progress=progress))["best_checkpoint"]
    assert (finding.kind, finding.run) == ("good", "run")
    assert finding.text == "The last checkpoint, step 60, is also the best, by validation accuracy (0.9000)."
    assert finding.values["metric"] == "accuracy"


def test_an_earlier_checkpoint_is_the_best(tmp_path):
    """The monitored metric is found by its value: the loss of the second epoch."""
    run = facts(tmp_path, reports(rising=True), progress={"step": 60, "best_step": 20, "best_value": 0.5})
    finding = found(run)["best_checkpoint"]
    assert finding.kind == "warning"
    assert finding.text == (
        "The best checkpoint is that of step 20, by validation loss (0.5000). The last one, step 60, is worse (1.1000)."
        " Its folder is not in the run any more."
    )
    (run.run.checkpoints / "step-00000020").mkdir()
    again = read_facts(run.run.path)
    assert found(again)["best_checkpoint"].text.endswith("is worse (1.1000); use the best with --checkpoint best.")


def test_a_later_checkpoint_that_is_as_good(tmp_path):
    lines = [*reports(2), {**reports(3)[-1], "validation": {"accuracy": 0.7}}]
    finding = found(facts(tmp_path, lines, progress={"step": 30, "best_step": 20, "best_value": 0.7}))[
        "best_checkpoint"
    ]
    assert finding.kind == "good"
    assert "The last one, step 30, is as good. Its folder" in finding.text


@pytest.mark.parametrize(
    ("validation", "progress", "words"),
    [
        # The newest checkpoint is of a later step than the last validation.
        ({"accuracy": 0.7}, {"step": 25, "best_step": 20},
         "The last one, step 25, was not validated"),
        # The logs do not have the recorded value, so nothing says which metric it is.
        ({"accuracy": 0.6}, {"step": 30, "best_step": 20, "best_value": 0.123},
         "by the monitored metric (0.1230). The last one, step 30, was not recorded as the best"),
        # An accuracy of 0.7 is the best, and so is a loss of 0.7.
        ({"accuracy": 0.8, "loss": 0.7}, {"step": 30, "best_step": 20, "both": True},
         "by the monitored metric (0.7000). The last one, step 30, was not recorded as the best"),
        # A metric of the user: it is not known whether larger is better.
        ({"wer": 0.4}, {"step": 30, "best_step": 20, "metric": "wer"},
         "by validation wer (0.7000). The last one, step 30, was not recorded as the best (0.4000)"),
        # Somebody has changed the logs, or a larger accuracy was not recorded.
        ({"accuracy": 0.8}, {"step": 30, "best_step": 20},
         "The last one, step 30, is better (0.8000), but the run did not record it as the best"),
    ],
)  # fmt: skip
def test_a_last_checkpoint_that_is_not_called_worse(tmp_path, validation, progress, words):
    metric = progress.pop("metric", "accuracy")
    both = {"loss": 0.7} if progress.pop("both", False) else {}
    of_best = {**reports(2)[-1], "validation": {metric: 0.7, **both}}
    lines = [*reports(2)[:-1], of_best, {**reports(3)[-1], "validation": validation}]
    finding = found(facts(tmp_path, lines, progress={"best_value": 0.7, **progress}))["best_checkpoint"]
    assert finding.kind == "note"
    assert words in finding.text
    assert "worse" not in finding.text
    assert "--checkpoint best" not in finding.text


def test_no_advice_to_use_what_is_used(tmp_path):
    run = facts(tmp_path, reports(rising=True), progress={"step": 60, "best_step": 20, "best_value": 0.5})
    (run.run.checkpoints / "step-00000020").mkdir()
    again = read_facts(run.run.path)
    texts = [found(again, name)["best_checkpoint"].text for name in ("step-00000020", "step-00000060")]
    assert texts[0].endswith("is worse (1.1000); this report measures the best.")
    assert texts[1].endswith("is worse (1.1000); use the best with --checkpoint best.")


@pytest.mark.parametrize("progress", [None, {"step": 5}, {"step": 5, "best_step": "x", "best_value": 1}])
def test_no_best_checkpoint(tmp_path, progress):
    finding = found(facts(tmp_path, progress=progress))["best_checkpoint"]
    assert (finding.kind, finding.text) == ("note", "No best checkpoint is known.")


def test_an_earlier_checkpoint_that_is_hardly_better(tmp_path):
    lines = [*reports(2), {**reports(3)[-1], "validation": {"accuracy": 0.69}}]
    run = facts(tmp_path, lines, progress={"step": 30, "best_step": 20, "best_value": 0.7})
    (run.run.assets / "samples.json").write_text(json.dumps({"validation": 100}))
    finding = found(read_facts(run.run.path))["best_checkpoint"]
    assert finding.kind == "note"
    assert "step 30, is worse (0.6900), a small difference for 100 samples." in finding.text
    (run.run.assets / "samples.json").write_text(json.dumps({"validation": 100_000}))
    assert found(read_facts(run.run.path))["best_checkpoint"].kind == "warning"


def test_overfitting(tmp_path):
    finding = found(facts(tmp_path, reports(rising=True)))["overfitting"]
    assert finding.values == {"since_step": 20, "lowest": 0.5, "last_step": 60, "last": pytest.approx(1.1)}
    assert "rose since step 20, from 0.5000 to 1.1000 (+120%)" in finding.text
    assert finding.kind == "warning"


def test_a_loss_that_falls_is_no_overfitting(tmp_path):
    assert "overfitting" not in found(facts(tmp_path, reports()))


def test_a_training_loss_that_rises_too_is_no_overfitting(tmp_path):
    lines = [{**line, "train": {"loss": float(line["step"])}} for line in reports(rising=True)]
    assert "overfitting" not in found(facts(tmp_path, lines))


def test_one_worse_validation_is_no_overfitting(tmp_path):
    lines = [*reports(2), {**reports(3)[-1], "validation": {"loss": 5.0}}]
    assert "overfitting" not in found(facts(tmp_path, lines))


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({"summary": None, "status": {"code": None, "reason": "running"}},
         "The run has not finished (unfinished): running or killed: it recorded no end; no checkpoint."),
        ({"summary": None, "status": {"code": 1, "reason": "the loss is NaN"}},
         "The run has not finished (failed): the loss is NaN; no checkpoint."),
    ],
)  # fmt: skip
def test_a_run_that_has_not_finished(tmp_path, files, text):
    (finding,) = state_finding(facts(tmp_path, reports(), **files))
    assert (finding.kind, finding.text) == ("warning", text)
    assert list(state_finding(facts(tmp_path / "other", reports()))) == []


def test_a_loss_that_is_nan(tmp_path):
    lines = [*reports(1), {"kind": "steps", "step": 20, "train": {"loss": None}}]
    finding = found(facts(tmp_path, lines))["not_finite"]
    assert finding.text == "The training loss was NaN or infinite in 1 report, first at step 20."


def test_the_recorded_result_has_an_interval_if_its_samples_are_known(tmp_path):
    run = facts(tmp_path)
    assert [each.text for each in recorded_result(run)] == ["The recorded test accuracy is 0.5000."]
    (run.run.assets / "samples.json").write_text(json.dumps({"test": 100}))
    again = read_facts(run.run.path)
    assert [each.text for each in recorded_result(again)] == [
        "The recorded test accuracy is 0.5000 (95% interval 0.4038 to 0.5962, 100 samples)."
    ]


def test_an_accuracy_of_tokens_has_no_interval_of_samples(tmp_path):
    """Its samples are windows of many tokens."""
    results = {"task": "language-modeling", "test": {"perplexity": 9.0, "accuracy": 0.5}}
    run = facts(tmp_path, summary={**SUMMARY, **results})
    (run.run.assets / "samples.json").write_text(json.dumps({"test": 100}))
    assert read_facts(run.run.path).recorded_interval("test", "accuracy") is None


@pytest.mark.parametrize("task", ["translation", "supervised", "my-task"])
def test_only_classifiers_have_intervals_of_recorded_shares(tmp_path, task):
    """A translation decodes some of the samples; other tasks may give many answers for each."""
    results = {"task": task, "test": {"exact_match": 0.5, "accuracy": 0.5}}
    run = facts(tmp_path, summary={**SUMMARY, **results})
    (run.run.assets / "samples.json").write_text(json.dumps({"test": 20_000}))
    again = read_facts(run.run.path)
    assert again.recorded_interval("test", "exact_match") is None
    assert again.recorded_interval("test", "accuracy") is None


def test_lines_that_cannot_be_read(tmp_path):
    run = facts(tmp_path, reports(2))
    with run.run.metrics_path.open("a") as file:
        file.write('{"kind": "ste')
    finding = found(read_facts(run.run.path))["damaged_lines"]
    assert finding.text == "1 line of metrics.jsonl cannot be read; the curves are without them."
    # A run that is not done may be writing this line, and not one before.
    run.run.write_status(None, "running")
    (run.run.path / "summary.json").unlink()
    assert "damaged_lines" not in found(read_facts(run.run.path))
    with run.run.metrics_path.open("a") as file:
        file.write('ps"\n')
    assert found(read_facts(run.run.path))["damaged_lines"].values == {"lines": 1}


def test_a_line_without_an_end_that_is_complete_counts(tmp_path):
    run = facts(tmp_path, reports(2), summary=None, status={"code": None, "reason": "running"})
    content = run.run.metrics_path.read_bytes()
    run.run.metrics_path.write_bytes(content.rstrip(b"\n"))
    assert read_facts(run.run.path).curves.last_step == 20


# Files that anyone may have changed


@pytest.mark.parametrize("name", ["samples.json", "progress.json"])
@pytest.mark.parametrize("content", ["pipe", "[1]", '{"test": Infinity, "best_value": 1e400}', "[" * 200_000, HUGE])
def test_small_files_may_contain_anything(tmp_path, name, content):
    """Nothing is waited for, and nothing is raised."""
    run = facts(tmp_path, reports(), progress={"step": 60, "best_step": 60, "best_value": 0.9})
    (run.run.assets / "samples.json").write_text('{"test": 100}')
    folder = run.run.assets if name == "samples.json" else run.run.checkpoints / "step-00000060"
    (folder / name).unlink()
    if content == "pipe":
        os.mkfifo(folder / name)
    else:
        (folder / name).write_text(content)
    again = read_facts(run.run.path)
    list(training_findings(again))
    assert (again.recorded_interval("test", "accuracy") is None) == (name == "samples.json")
    assert (again.best is None) == (name == "progress.json")
    made = ReportedRun("A", again, Measured("test", "last", training_flops=100), ())
    assert max(len(value) for _, value in cost_rows(made)) < 40


def test_a_damaged_run(tmp_path):
    run = make_run(tmp_path / "run", summary=SUMMARY, status=DONE)
    (run / "summary.json").write_text("{")
    with pytest.raises(UserError, match=r"run '.*' is damaged: summary.json is not JSON"):
        read_facts(run)
