"""``tfdl report``: what is printed, and bad input."""

import subprocess
import sys

import pytest

from tests.reporting.made_report import reports
from tests.reporting.made_run import DONE, SUMMARY, finished, make_run


@pytest.fixture
def run(tmp_path):
    """A finished run that was made from files."""
    progress = {"step": 60, "best_step": 60, "best_value": 0.9, "examples": 900}
    return make_run(tmp_path / "run", summary=SUMMARY, status=DONE, progress=progress, reports=tuple(reports()))


def test_one_run(run_here, run):
    code, out, err = run_here("report", run, "--no-model")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:3] == [
        "run: finished, cnn on digits",
        "  note: The recorded test accuracy is 0.5000.",
        "  good: The last checkpoint, step 60, is also the best, by validation accuracy (0.9000).",
    ]
    assert lines[3].startswith(f"report {run}/report/report.html (")
    assert lines[4:] == ["  figures curves.png"]
    assert (run / "report" / "report.html").is_file()


def test_with_its_model(run_here, trained_run, tmp_path):
    code, out, err = run_here("report", trained_run.path, "--output", tmp_path / "out")
    assert (code, err) == (0, "")
    assert "better than answering '" in out
    assert out.endswith("  figures curves.png, confusion_matrix.png\n")


def test_several_runs(run_here, run, tmp_path, monkeypatch):
    monkeypatch.chdir(run.parent)
    finished(tmp_path / "b", test={"loss": 0.1, "accuracy": 0.75})
    code, out, _ = run_here("report", "run", "b", "--no-model")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "note: B (b) has the best test accuracy, 0.7500."
    assert lines[1] == ("note: B (b) changes test accuracy by +0.2500 from A; there is no interval for this change.")
    assert lines[2] == "A run: finished, cnn on digits"
    assert "B b: finished, cnn on digits" in lines
    assert "report report/report.html (" in out


def test_two_runs_of_one_name(run_here, tmp_path):
    for name in ("x", "y"):
        finished(tmp_path / name / "run")
    code, out, _ = run_here("report", tmp_path / "x" / "run", tmp_path / "y" / "run", "--no-model", "--output",
                            tmp_path / "out")  # fmt: skip
    assert code == 0
    assert f"A {tmp_path}/x/run: finished" in out


@pytest.mark.parametrize(
    ("status", "line"),
    [
        ({"code": None, "reason": "running"}, "run: unfinished, cnn on digits"),
        ({"code": 1, "reason": "the loss is NaN\x1b[31m"}, "run: failed, cnn on digits"),
        ({"code": 75, "reason": "stopped by SIGTERM"}, "run: stopped, cnn on digits"),
    ],
)
def test_a_run_without_results(run_here, tmp_path, status, line):
    folder = make_run(tmp_path / "run", status=status, progress={"step": 20}, reports=tuple(reports(2)))
    code, out, _ = run_here("report", folder, "--no-model")
    assert code == 0
    assert out.startswith(f"{line}\n  warning: The run has not finished ({line.split()[1][:-1]}): ")
    assert "\x1b" not in out


def test_a_run_without_a_checkpoint(run_here, tmp_path):
    """Its model cannot be measured; the report says so."""
    folder = make_run(tmp_path / "run", status={"code": 1, "reason": "x"})
    code, out, _ = run_here("report", folder)
    assert code == 0
    assert "  warning: The model was not measured on the test split: run '" in out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nothing"], "no run directory 'nothing'; give one that `tfdl train` wrote"),
        (["run", "nothing", "--no-model"], "no run directory 'nothing'; give one that `tfdl train` wrote"),
        (["empty", "--no-model"], "'empty' holds no run (no config.yaml)"),
        (["damaged", "--no-model"], "run 'damaged' is damaged: summary.json is not JSON"),
        (["run", "--no-model", "--checkpoint", "best"], "--checkpoint has no meaning with --no-model"),
        (["run", "--no-model", "--split", "test"], "--split has no meaning with --no-model"),
        (["run", "--checkpoint", "best"], "run 'run' has no checkpoint 'best'; it has last, step-00000060"),
        (["run", "--split", "tset"], "split 'tset', expected one of train, validation, test. Did you mean 'test'?"),
        (["run", "--no-model", "--output", "file"], "--output 'file' is a file, expected a folder"),
        (["run", "--no-model", "--output", "run"], "--output 'run' is not empty; choose another folder"),
        (["run", "--no-model", "--output", "run", "--overwrite"], "--output 'run' has 'assets', which a report does"),
        (["run", "--plugin", "no_such_module"], "--plugin 'no_such_module': no module"),
    ],
)
def test_bad_input(run_here, run, tmp_path, monkeypatch, arguments, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    (finished(tmp_path / "damaged") / "summary.json").write_text("{")
    before = sorted(path.name for path in run.iterdir())
    code, out, err = run_here("report", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"tfdl: error: {line}")
    assert err.count("\n") == 1
    assert sorted(path.name for path in run.iterdir()) == before


def test_a_run_of_a_plugin(run_here, run):
    """Its files can be read without the plugin; its model cannot be built."""
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("plugins: []", "plugins: [no_such_parts]"))
    code, _, err = run_here("report", run)
    assert code == 2
    assert "--plugin no_such_parts" in err
    assert run_here("report", run, "--no-model")[0] == 0


def test_an_imported_run(run_here, tmp_path):
    """It has weights alone."""
    folder = make_run(tmp_path / "run", imported=True)
    code, out, _ = run_here("report", folder, "--no-model")
    assert code == 0
    assert out.startswith("run: imported, cnn on digits\n  note: No best checkpoint is known.\n")
    assert "figures" not in out
    assert "The run has no results yet." in (folder / "report" / "report.html").read_text()


def test_several_ranks(run_here, run, monkeypatch):
    monkeypatch.setenv("HOROVOD_RANK", "0")
    monkeypatch.setenv("HOROVOD_SIZE", "2")
    code, _, err = run_here("report", run)
    assert code == 2
    assert "report on 2 ranks, expected 1 rank; start it without horovodrun" in err


def test_files_alone_need_no_tensorflow(run):
    program = f"""
import sys
from tfdl.cli.main import main
try:
    main(["report", {str(run)!r}, "--no-model"])
except SystemExit as ended:
    heavy = {{"tensorflow", "keras", "horovod", "matplotlib.pyplot"}} & set(sys.modules)
    sys.exit(f"imported {{heavy}}" if heavy else ended.code)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_report_that_exists_is_refused_before_tensorflow_is_imported(run_here, run, tmp_path, monkeypatch):
    def imported():
        raise AssertionError("TensorFlow would be imported")

    monkeypatch.setattr("tfdl.cli.quiet.quick_start", imported)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    code, _, err = run_here("report", run, "--output", tmp_path / "out")
    assert (code, err) == (2, f"tfdl: error: --output '{tmp_path / 'out'}' is not empty; choose another folder\n")
    code, _, err = run_here("report", run, "--output", tmp_path / "free")
    assert (code, "TensorFlow would be imported" in err) == (1, True)  # the control
