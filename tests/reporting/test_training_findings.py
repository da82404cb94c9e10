"""Findings from the files of a run."""

import json

import pytest

from tests.reporting.made_report import reports
from tests.reporting.made_run import DONE, SUMMARY, make_run
from tfdl.errors import UserError
from tfdl.reporting.facts.run_facts import read_facts
from tfdl.reporting.facts.training_findings import recorded_result, state_finding, training_findings


def facts(folder, lines=(), *, progress=None, **files):
    files = {"summary": SUMMARY, "status": DONE} | files
    return read_facts(make_run(folder / "run", reports=tuple(lines), progress=progress, **files))


def found(run):
    return {finding.name: finding for finding in training_findings(run)}


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
    assert finding.text.endswith("The last one, step 30, is as good.")


@pytest.mark.parametrize("progress", [None, {"step": 5}, {"step": 5, "best_step": "x", "best_value": 1}])
def test_no_best_checkpoint(tmp_path, progress):
    finding = found(facts(tmp_path, progress=progress))["best_checkpoint"]
    assert (finding.kind, finding.text) == ("note", "No best checkpoint was recorded.")


def test_an_earlier_checkpoint_that_is_better_by_chance(tmp_path):
    lines = [*reports(2), {**reports(3)[-1], "validation": {"accuracy": 0.69}}]
    run = facts(tmp_path, lines, progress={"step": 30, "best_step": 20, "best_value": 0.7})
    (run.run.assets / "samples.json").write_text(json.dumps({"validation": 100}))
    finding = found(read_facts(run.run.path))["best_checkpoint"]
    assert finding.kind == "note"
    assert "step 30, is worse (0.6900), which may be chance with 100 samples." in finding.text
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
    assert [each.text for each in recorded_result(run)] == ["Test accuracy is 0.5000."]
    (run.run.assets / "samples.json").write_text(json.dumps({"test": 100}))
    again = read_facts(run.run.path)
    assert [each.text for each in recorded_result(again)] == [
        "Test accuracy is 0.5000 (95% interval 0.4038 to 0.5962, 100 samples)."
    ]


def test_an_accuracy_of_tokens_has_no_interval_of_samples(tmp_path):
    """Its samples are windows of many tokens."""
    run = facts(tmp_path, summary={**SUMMARY, "test": {"perplexity": 9.0, "accuracy": 0.5}})
    (run.run.assets / "samples.json").write_text(json.dumps({"test": 100}))
    assert read_facts(run.run.path).recorded_interval("test", "accuracy") is None


def test_a_damaged_run(tmp_path):
    run = make_run(tmp_path / "run", summary=SUMMARY, status=DONE)
    (run / "summary.json").write_text("{")
    with pytest.raises(UserError, match=r"run '.*' is damaged: summary.json is not valid JSON"):
        read_facts(run)
