"""``tfdl runs``: the table, JSON, and what is printed in place of them."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.reporting.made_run import SUMMARY, finished, make_run
from tfdl.cli.run_table import run_page
from tfdl.reporting import list_runs


@pytest.fixture
def runs(run_here: Command) -> Command:
    """``tfdl runs ARGUMENTS``."""
    return partial(run_here, "runs")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three runs; the names, the ages and the accuracies have different orders."""
    finished(tmp_path / "a", started=1.6e9, test={"accuracy": 0.5, "f1": 0.75})
    finished(tmp_path / "b", started=1.4e9, test={"accuracy": 0.9, "f1": 0.25}, model="resnet20")
    make_run(tmp_path / "c", status={"code": 1, "reason": "the loss is NaN"})
    os.utime(tmp_path / "c" / "assets", (1.5e9, 1.5e9))
    return tmp_path


def first_words(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines()]


def test_the_table(runs, folder):
    code, out, err = runs(folder)
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == [
        "run", "state", "model", "task", "dataset", "epochs", "steps", "metric", "validation", "test", "parameters",
        "ranks", "time", "started", "changed", "reason",
    ]  # fmt: skip
    assert lines[1][:13] == [
        "a", "finished", "cnn", "image-classification", "digits", "20", "460", "accuracy", "0.7500", "0.5000",
        "316,010", "2", "1m",
    ]  # fmt: skip
    assert out.splitlines()[2].endswith("  the loss is NaN; no checkpoint")
    assert first_words(out) == ["run", "a", "c", "b"]
    assert "\x1b" not in out


def test_the_default_folder(runs, folder, tmp_path_factory, monkeypatch):
    cwd = tmp_path_factory.mktemp("cwd")
    (cwd / "runs").symlink_to(folder)
    monkeypatch.chdir(cwd)
    assert runs() == runs("runs")
    assert first_words(runs()[1]) == ["run", "a", "c", "b"]


@pytest.mark.parametrize(
    ("arguments", "order"),
    [
        (["--sort", "test.accuracy"], "abc"),
        (["--sort", "-test.accuracy"], "bac"),
        (["--sort", "-test.f1"], "abc"),
        (["--sort=-run"], "cba"),
        (["--sort", "started"], "bca"),
        (["--state", "finished"], "ab"),
        (["--state", "failed", "--state", "finished"], "acb"),
        (["--task", "image-classification", "--model", "cnn"], "ac"),
    ],
)
def test_order_and_choice(runs, folder, arguments, order):
    code, out, _ = runs(folder, *arguments)
    assert code == 0
    assert "".join(first_words(out)[1:]) == order
    listed = json.loads(runs(folder, *arguments, "--json")[1])
    assert "".join(run["run"] for run in listed) == order


def test_the_metric_that_runs_are_sorted_by_is_a_column(runs, folder):
    assert runs(folder, "--sort", "test.f1")[1].splitlines()[0].split()[-2:] == ["test.f1", "reason"]
    assert "test.accuracy" not in runs(folder, "--sort", "test.accuracy")[1]  # the column `test` has it


def test_runs_without_the_metric_that_others_have(runs, folder):
    """The name of the order is known from all runs, not only from those that are shown."""
    make_run(folder / "later", status={"code": 75, "reason": "stopped by SIGTERM"})
    code, out, _ = runs(folder, "--state", "stopped", "--sort", "-test.accuracy")
    assert code == 0
    assert "later" in out


def test_json(runs, folder):
    _, out, _ = runs(folder, "--json")
    first, second, _ = json.loads(out)
    assert {key: first[key] for key in SUMMARY} == {**SUMMARY, "test": {"accuracy": 0.5, "f1": 0.75}}
    assert first["path"] == str(folder / "a")
    assert first["started"] == "2020-09-13T12:26:40+00:00"
    assert (second["state"], second["reason"]) == ("failed", "the loss is NaN; no checkpoint")
    assert (second["parameters"], second["test"]) == (None, {})


def test_json_has_no_nan(runs, tmp_path):
    folder = finished(tmp_path / "a")
    (folder / "summary.json").write_text(json.dumps({**SUMMARY, "test": {"loss": float("nan")}}))
    _, out, _ = runs(tmp_path, "--json")

    def refuse(name: str) -> None:
        raise AssertionError(name)

    (run,) = json.loads(out, parse_constant=refuse)
    assert run["test"] == {"loss": None}


def test_a_damaged_run_does_not_end_the_list(runs, folder):
    (folder / "a" / "summary.json").write_text('{"model":')
    code, out, err = runs(folder)
    assert (code, err) == (0, "")
    (line,) = [line for line in out.splitlines() if line.startswith("a ")]
    assert line.split()[1] == "damaged"
    assert "summary.json is not JSON" in line


@pytest.mark.parametrize("width", [30, 60, 80, 100, 140, 220])
def test_the_table_fits_into_the_terminal(tmp_path, width):
    name = "transformer-python_topics-20261129-200909"
    finished(tmp_path / name)
    make_run(tmp_path / "b", status={"code": 1, "reason": "long " * 100})
    runs = list_runs(tmp_path)
    page = run_page(runs, width=width)
    table = page.split("\n\n")[0]
    assert all(len(line) <= width for line in table.splitlines())
    column = [line.split()[0] for line in table.splitlines() if name.find(line.split()[0]) >= 0]
    assert "".join(column) == name  # folded, and complete
    shown = table.splitlines()[0].split()
    assert shown[:2] == ["run", "state"]
    hidden = page.splitlines()[-1]
    assert ("parameters" in shown) == ("parameters" not in hidden)
    assert "long long" in page


def test_a_wider_terminal_shows_more(tmp_path):
    finished(tmp_path / "a")
    titles = [set(run_page(list_runs(tmp_path), width=width).splitlines()[0].split()) for width in (40, 80, 200)]
    assert titles[0] < titles[1] < titles[2]
    assert titles[1] >= {"run", "state", "metric", "validation", "test", "steps"}


def test_a_terminal_gets_its_width(folder):
    """Through a pseudo-terminal of 60 columns."""
    import fcntl
    import pty
    import struct
    import termios

    reader, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    command = [sys.executable, "-m", "tfdl", "runs", str(folder)]
    subprocess.run(command, stdout=writer, env=environment, check=True)
    os.close(writer)
    lines = os.read(reader, 65_536).decode().splitlines()
    os.close(reader)
    assert len(lines[0]) <= 60
    assert lines[-1].startswith("Not shown: ")
    assert "c: the loss is NaN; no checkpoint" in lines


def test_an_empty_folder(runs, tmp_path):
    assert runs(tmp_path) == (0, f"no runs in {tmp_path}; make one: tfdl train\n", "")
    assert runs(tmp_path, "--json", "--sort", "test.loss") == (0, "[]\n", "")


def test_no_run_of_a_kind(runs, folder):
    line = f"none of the 3 runs in {folder} is of this kind; leave out --state, --task or --model\n"
    assert runs(folder, "--task", "translation") == (0, line, "")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["x"], "no folder 'x', expected one with runs; make a run with `tfdl train`, or give another folder"),
        (["file"], "'file' is a file, expected a folder with runs, such as runs"),
        ([".", "--sort", "test.acuracy"], "--sort 'test.acuracy', expected a column such as run, "),
        ([".", "--state", "finishd"], "--state 'finishd', expected one of finished, imported, "),
    ],
)
def test_bad_input(runs, folder, monkeypatch, arguments, line):
    monkeypatch.chdir(folder)
    (folder / "file").write_text("")
    code, out, err = runs(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"tfdl: error: {line}")
    assert err.count("\n") == 1


def test_names_that_would_control_the_terminal(runs, tmp_path):
    red = "\x1b[31mred\n"
    make_run(tmp_path / red, status={"code": 1, "reason": f"{red}\x07"})
    finished(tmp_path / "a", model=red, dataset=f"[bold]{red}", test={red: 1.0, "loss": 1.0})
    for arguments in ([], ["--json"], ["--sort", f"test.{red}"]):
        code, out, _ = runs(tmp_path, *arguments)
        assert code == 0
        assert "\x1b" not in out
        assert "\x07" not in out
        assert "31mred" in out
    # Without what click removes when there is no terminal.
    for width in (60, 1000):
        page = run_page(list_runs(tmp_path), f"test.{red}", width)
        assert "\x1b" not in page
        assert "\x07" not in page
        assert r"\x1b[31mred\n" in page
    assert len(page.splitlines()) == 3


def test_a_reader_that_leaves(tmp_path):
    """The list is longer than what a pipe holds."""
    for number in range(3):
        finished(tmp_path / f"{number}", dataset="x" * 100_000)
    for option in ([], ["--json"]):
        command = [sys.executable, "-m", "tfdl", "runs", str(tmp_path), *option]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        process.stderr.close()
        assert process.wait(60) == 0


def test_one_rank_prints(runs, folder, monkeypatch):
    monkeypatch.setenv("HOROVOD_RANK", "1")
    monkeypatch.setenv("HOROVOD_SIZE", "2")
    assert runs(folder) == (0, "", "")
    monkeypatch.setenv("HOROVOD_RANK", "0")
    assert runs(folder)[1]


def test_the_shell_completes_orders_and_states():
    from tfdl.cli.runs import command

    def completed(option: str, beginning: str) -> list[str]:
        (parameter,) = [each for each in command.params if option in each.opts]
        context = command.make_context("runs", [])
        return [item.value for item in parameter.shell_complete(context, beginning)]

    assert completed("--state", "f") == ["finished", "failed"]
    assert completed("--sort", "-wall") == ["-wall_seconds"]
    assert "started" in completed("--sort", "")


# Columns that the user asks for


def with_rates(folder: Path) -> Path:
    """Runs with other learning rates; one of them is a text."""
    for name, rate in (("a", "0.001"), ("b", "0.25"), ("c", "fast")):
        path = folder / name / "config.yaml"
        path.write_text(path.read_text().replace("learning_rate: 0.001", f"learning_rate: {rate}"))
    return folder


def test_columns(runs, folder):
    _, out, _ = runs(with_rates(folder), "--columns", "run,optimizer.learning_rate, test ,ranks", "--sort", "run")
    assert [line.split() for line in out.splitlines()] == [
        ["run", "optimizer.learning_rate", "test", "ranks"],
        ["a", "0.001", "0.5000", "2"],
        ["b", "0.2500", "0.9000", "2"],
        ["c", "fast", "-", "-"],
    ]


def test_columns_in_json(runs, folder):
    _, out, _ = runs(with_rates(folder), "--columns", "optimizer.learning_rate,started", "--json", "--limit", "1")
    assert json.loads(out) == [{"optimizer.learning_rate": 0.001, "started": "2020-09-13T12:26:40+00:00"}]
    assert "config" not in json.loads(runs(folder, "--json")[1])[0]


def test_runs_are_sorted_by_a_key_of_their_configuration(runs, folder):
    order = ["--sort", "-optimizer.learning_rate", "--columns", "run"]
    assert first_words(runs(with_rates(folder), *order)[1]) == ["run", "c", "b", "a"]


def test_limit(runs, folder):
    _, out, _ = runs(folder, "--limit", "2")
    assert first_words(out)[:3] == ["run", "a", "c"]
    assert out.endswith("2 of 3 runs (--limit)\n")
    assert "--limit" not in runs(folder, "--limit", "3")[1]
    assert runs(folder, "--limit", "0")[0] == 2


@pytest.mark.parametrize(("option", "name", "near"), [("--model", "cmn", "cnn"), ("--task", "image-clasification",
                                                                                  "image-classification")])  # fmt: skip
def test_a_hint_for_a_name_that_no_run_has(runs, folder, option, name, near):
    code, out, _ = runs(folder, option, name)
    assert code == 0
    assert out.endswith(f"--task or --model. Did you mean {near!r}?\n")


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        ("run,,test", "--columns 'run,,test', expected names separated by commas, such as run,test,wall_seconds"),
        ("optimzer.name", "--columns 'optimzer.name', expected a column such as run, "),
    ],
)
def test_bad_columns(runs, folder, columns, line):
    code, out, err = runs(folder, "--columns", columns)
    assert (code, out) == (2, "")
    assert err.startswith(f"tfdl: error: {line}")
    assert ("Did you mean 'optimizer.name'?" in err) == ("optimzer" in columns)
