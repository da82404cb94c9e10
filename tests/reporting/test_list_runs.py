"""Which runs a list has, and what it says of each."""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.reporting.made_run import CONFIG, DONE, SUMMARY, finished, make_run
from tfdl.errors import UserError
from tfdl.reporting import list_runs
from tfdl.reporting.finding import MOST_LEVELS


def only_run(folder):
    (run,) = list_runs(folder)
    return run


# Which runs


def names(folder):
    return sorted(run.run for run in list_runs(folder))


def test_runs_are_found_below_the_folder_and_not_within_a_run(tmp_path):
    finished(tmp_path / "a")
    finished(tmp_path / "sweep" / "day" / "b")
    finished(tmp_path / "a" / "checkpoints" / "step-00000460" / "inner")
    finished(tmp_path / ".trash" / "c")
    assert names(tmp_path) == ["a", "sweep/day/b"]


def test_runs_are_looked_for_to_a_depth(tmp_path):
    deepest = tmp_path.joinpath(*"12345"[: MOST_LEVELS - 1])
    finished(deepest / "in")
    finished(deepest / "folder" / "out")
    assert names(tmp_path) == [str((deepest / "in").relative_to(tmp_path))]


def test_a_configuration_of_another_program_is_no_run(tmp_path):
    (tmp_path / "hydra").mkdir()
    (tmp_path / "hydra" / "config.yaml").write_text("db: mysql\n")
    assert list_runs(tmp_path) == []
    (tmp_path / "hydra" / "status.json").write_text(json.dumps(DONE))  # the control
    assert names(tmp_path) == ["hydra"]


def test_a_run_is_listed_once_whatever_links_lead_to_it(tmp_path):
    finished(tmp_path / "runs" / "b")
    finished(tmp_path / "elsewhere" / "c")
    (tmp_path / "runs" / "a").symlink_to("b")
    (tmp_path / "runs" / "c").symlink_to("../elsewhere/c")
    (tmp_path / "runs" / "also_c").symlink_to("../elsewhere/c")
    (tmp_path / "runs" / "loop").symlink_to(".")
    (tmp_path / "runs" / "itself").symlink_to("itself")
    (tmp_path / "runs" / "broken").symlink_to("nothing")
    assert names(tmp_path / "runs") == ["also_c", "b"]


def test_the_folder_may_be_a_run(tmp_path):
    assert only_run(finished(tmp_path / "a")).run == "a"


def test_the_newest_run_is_first(tmp_path):
    for name, started in (("a", 2e9 - 20), ("b", 2e9), ("c", 2e9 - 40)):
        finished(tmp_path / name, started=started)
    assert [run.run for run in list_runs(tmp_path)] == ["b", "a", "c"]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"no folder '.*x', expected one with runs; make a run with `tfdl train`, or"):
        list_runs(tmp_path / "x")
    (tmp_path / "x").write_text("")
    with pytest.raises(UserError, match=r"x' is a file, expected a folder with runs"):
        list_runs(tmp_path / "x")


# What is said of a run


def test_a_trained_run(trained_run):
    run = only_run(trained_run.path)
    summary = trained_run.read_summary()
    values = run.to_json()
    assert {key: values[key] for key in summary} == summary
    assert (run.state, run.reason, run.metric) == ("finished", "", "accuracy")
    assert run.value("test") == summary["test"]["accuracy"]
    assert run.value("validation.loss") == summary["validation"]["loss"]
    assert run.checkpoint == "step-00000024"
    first = json.loads(trained_run.metrics_path.read_text().splitlines()[0])
    assert run.started <= first["time"] <= run.changed + 1
    assert run.path == str(trained_run.path)


STOPPED = "stopped by SIGTERM at step 30 with a checkpoint saved"


@pytest.mark.parametrize(
    ("status", "progress", "state", "reason"),
    [
        ({"code": 75, "reason": STOPPED}, {"step": 30}, "stopped", f"{STOPPED}; --resume continues from step 30"),
        ({"code": 1, "reason": "the loss is NaN"}, None, "failed", "the loss is NaN; no checkpoint"),
        ({"code": 2, "reason": "bad"}, {"step": 7}, "failed", "bad; --resume continues from step 7"),
        (
            {"code": None, "reason": "running"},
            {"step": 7},
            "unfinished",
            "running or killed: it recorded no end; --resume continues from step 7",
        ),
        (
            {"code": None, "reason": "running; 2 ranks: rank 1 was lost"},
            None,
            "unfinished",
            "running or killed: it recorded no end; 2 ranks: rank 1 was lost; no checkpoint",
        ),
        (None, None, "unfinished", "no status.json; no checkpoint"),
        (DONE, None, "damaged", "status.json reports the end of the run, but there is no summary.json"),
    ],
)
def test_the_state_of_a_run_without_results(tmp_path, status, progress, state, reason):
    run = only_run(make_run(tmp_path / "a", status=status, progress=progress))
    assert (run.state, run.reason) == (state, reason)
    assert (run.model, run.task, run.dataset) == ("cnn", "image-classification", "digits")
    assert run.test == {}


def test_an_imported_run(tmp_path):
    make_run(
        tmp_path / "a",
        summary={**SUMMARY, "validation": {}, "test": {}, "steps": 0},
        status={"code": 0, "reason": "imported from gpt2"},
        imported=True,
    )
    run = only_run(tmp_path)
    assert (run.state, run.reason, run.metric, run.value("test")) == ("imported", "imported from gpt2", None, None)


def test_a_copy_without_its_status_is_finished(tmp_path):
    assert only_run(make_run(tmp_path / "a", summary=SUMMARY)).state == "finished"


def test_how_far_an_unfinished_run_has_come(tmp_path):
    """Its last report is later than its checkpoint."""
    make_run(
        tmp_path / "a",
        status={"code": None, "reason": "running"},
        progress={"step": 20, "epoch": 1, "wall_seconds": 4.5, "validation": {"accuracy": 0.25}},
        reports=(
            {"kind": "steps", "step": 10, "epoch": 0, "time": 1e9},
            {"kind": "epoch", "step": 20, "epoch": 1, "time": 1e9 + 1, "validation": {"accuracy": 0.25}},
            {"kind": "epoch", "step": 40, "epoch": 2, "time": 1e9 + 2, "validation": {"accuracy": 0.5}},
            {"kind": "steps", "step": 50, "epoch": 2, "time": 1e9 + 3},
        ),
    )
    with (tmp_path / "a" / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "steps", "st')  # a line that is being written
    run = only_run(tmp_path)
    assert (run.steps, run.epochs, run.validation, run.wall_seconds) == (50, 2, {"accuracy": 0.5}, 4.5)
    assert run.started == 1e9


def test_results_from_before_a_resume_are_not_those_of_now(tmp_path):
    """A finished run is resumed with more epochs."""
    running = {"code": None, "reason": "running"}
    folder = make_run(tmp_path / "a", summary=SUMMARY, status=running, progress={"step": 460, "epoch": 20})
    assert only_run(folder).test == SUMMARY["test"]
    (folder / "metrics.jsonl").write_text(json.dumps({"kind": "steps", "step": 480, "epoch": 20}) + "\n")
    run = only_run(folder)
    assert (run.state, run.steps, run.test, run.weights_sha256) == ("unfinished", 480, {}, None)
    assert run.parameters == SUMMARY["parameters"]


@pytest.mark.parametrize(
    ("metrics", "name"),
    [
        ({"loss": 1.0, "accuracy": 0.5}, "accuracy"),
        ({"loss": 1.0, "perplexity": 2.7, "accuracy": 0.5}, "perplexity"),
        ({"loss": 1.0, "perplexity": 2.7, "token_accuracy": 0.5, "exact_match": 0.1, "bleu": 3.0}, "exact_match"),
        ({"loss": 1.0, "mae": 0.5}, "loss"),
        ({}, None),
    ],
)
def test_the_metric_that_stands_for_all(tmp_path, metrics, name):
    run = only_run(finished(tmp_path / "a", test=metrics, validation={}))
    assert (run.metric, run.value("test")) == (name, metrics.get(name))


def test_a_run_of_a_plugin_is_listed_and_nothing_is_imported(tmp_path, monkeypatch):
    (tmp_path / "evil_parts.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    config = CONFIG.replace("name: cnn", "name: unknown-net").replace("plugins: []", "plugins: [evil_parts]")
    config += "more: !!python/object/apply:os.abort []\n"
    run = only_run(make_run(tmp_path / "a", config=config.replace("more", "#"), status={"code": 1, "reason": "x"}))
    assert (run.state, run.model) == ("failed", "unknown-net")
    assert "evil_parts" not in sys.modules
    (tmp_path / "a" / "config.yaml").write_text(config)
    assert only_run(tmp_path).state == "damaged"


# Damaged files


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("summary.json", '{"model": "cnn", "te', r"summary\.json is not JSON \(Unterminated string"),
        ("summary.json", "[]", r"summary\.json holds a list, expected a JSON object"),
        ("summary.json", "[" * 100_000, r"summary\.json is not JSON"),
        ("summary.json", '{"steps": "many"}', r"steps is of type str, expected a whole number"),
        ("summary.json", '{"steps": true}', r"steps is of type bool, expected a whole number"),
        ("summary.json", '{"test": {"accuracy": "good"}}', r"test has something else than metrics"),
        ("summary.json", '{"test": {"accuracy": 1' + "0" * 400 + "}}", r"test has something else than metrics"),
        ("config.yaml", "a: !!bool x", r"config\.yaml is not valid YAML"),
        ("status.json", "", r"status\.json is not JSON \(Expecting value"),
        ("status.json", '{"code": "0"}', r"code is of type str, expected a whole number or null"),
        ("status.json", '{"code": 0, "reason": 7}', r"reason is of type int, expected a text"),
        ("config.yaml", "model: [", r"config\.yaml is not valid YAML: while parsing a flow node"),
        ("config.yaml", "", r"config\.yaml is empty, expected a configuration"),
        ("config.yaml", "- " * 100_000, r"config\.yaml is not valid YAML"),
        ("config.yaml", b"\xff\xfe", r"config\.yaml' \(not UTF-8 text\)"),
    ],
)
def test_a_damaged_file_is_a_state(tmp_path, name, content, reason):
    finished(tmp_path / "good")
    bad = finished(tmp_path / "bad")
    (bad / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    runs = {run.run: run for run in list_runs(tmp_path)}
    assert runs["good"].state == "finished"
    assert runs["bad"].state == "damaged"
    assert re.search(reason, runs["bad"].reason), runs["bad"].reason


def test_a_damaged_checkpoint_of_an_unfinished_run(tmp_path):
    folder = make_run(tmp_path / "a", status={"code": 75, "reason": "stopped"}, progress={"step": 5})
    (folder / "checkpoints" / "last" / "progress.json").write_text('{"step": "x"}')
    assert "steps is of type str" in only_run(folder).reason
    (folder / "checkpoints" / "last" / "progress.json").write_text("{")
    assert "progress.json is not JSON" in only_run(folder).reason


def test_a_folder_that_cannot_be_read(tmp_path, monkeypatch):
    """By a stand-in: the administrator, who may run the tests, reads everything."""
    finished(tmp_path / "good")
    closed = tmp_path / "closed"
    closed.mkdir()
    scan = os.scandir

    def refuse(path):
        if path == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    states = {run.run: (run.state, run.reason) for run in list_runs(tmp_path)}
    assert states == {
        "good": ("finished", ""),
        "closed": ("damaged", "the folder cannot be read: Permission denied"),
    }
    with pytest.raises(UserError, match=r"closed': the folder cannot be read: Permission denied; expected a folder"):
        list_runs(closed)


def test_a_file_that_cannot_be_read(tmp_path):
    folder = finished(tmp_path / "a")
    (folder / "status.json").unlink()
    (folder / "status.json").mkdir()
    run = only_run(folder)
    assert (run.state, run.reason) == ("damaged", "status.json is no regular file")


def test_numbers_that_json_does_not_have(tmp_path):
    folder = finished(tmp_path / "a")
    (folder / "summary.json").write_text(json.dumps({**SUMMARY, "test": {"accuracy": float("nan"), "loss": 1e999}}))
    run = only_run(folder)
    assert (run.state, run.test) == ("finished", {"accuracy": None, "loss": None})
    json.dumps(run.to_json(), allow_nan=False)


def test_reports_of_any_content(tmp_path):
    make_run(tmp_path / "a", reports=({"kind": "note", "time": 1e9},))
    nan = {"kind": "epoch", "step": 5, "time": 253402300799, "validation": {"loss": float("nan")}}
    make_run(tmp_path / "b", reports=(nan,))
    runs = {run.run: run for run in list_runs(tmp_path)}
    assert (runs["a"].steps, runs["b"].steps, runs["b"].validation) == (None, 5, {"loss": None})
    json.dumps([run.to_json() for run in runs.values()], allow_nan=False)


@pytest.mark.parametrize("name", ["config.yaml", "summary.json", "status.json", "metrics.jsonl"])
def test_a_pipe_is_not_waited_for(tmp_path, name):
    folder = finished(tmp_path / "a")
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    run = only_run(tmp_path)
    assert (run.state, run.reason) == ("damaged", f"{name} is no regular file")


def test_whatever_goes_wrong_the_other_runs_are_listed(tmp_path, monkeypatch):
    finished(tmp_path / "a")
    monkeypatch.setattr("tfdl.reporting.reading.read_run_files", lambda run: 1 / 0)  # noqa: ARG005
    run = only_run(tmp_path)
    assert run.state == "damaged"
    assert run.reason == "its files cannot be used: ZeroDivisionError: division by zero"


def test_nothing_heavy_is_imported(tmp_path):
    finished(tmp_path / "a")
    program = (
        "import sys, tfdl; tfdl.reporting.list_runs(sys.argv[1]);"
        "print({'tensorflow', 'keras', 'numpy', 'horovod'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
