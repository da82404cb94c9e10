"""A user's module with one part of each kind: trained, resumed, evaluated and exported, with nothing of tfdl
changed."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.distributed.launching import launch

MODULES = Path(__file__).parent / "modules"
# Runs commands one after another and prints the exit code and the output of each. One process is started for all.
COMMANDS = """
import contextlib, io, json, sys
from tfdl.cli.main import main

done = []
for arguments in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as ended:
            done.append((arguments, ended.code, out.getvalue(), err.getvalue()))
print(json.dumps(done))
"""
OPTIONS = ("--model", "two-towers", "--augmentation", "row-noise", "--set", "steps_per_execution=3")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The current folder of a user, with the module in it."""
    return Path(shutil.copytree(MODULES, tmp_path / "here", ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture
def run(folder: Path) -> Any:
    """Runs ``tfdl ARGUMENTS`` there."""

    def tfdl(
        *arguments: str, env: dict[str, str] | None = None, cwd: Path = folder
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tfdl", *arguments],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            check=False,
        )

    return tfdl


@pytest.fixture
def run_all(folder: Path) -> Any:
    """Runs several commands there in one process, and returns what each has done."""

    def tfdl(*commands: Sequence[str]) -> list[subprocess.CompletedProcess[str]]:
        # As with python -m, the current folder is on the path.
        command = [sys.executable, "-c", COMMANDS, json.dumps(commands)]
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        return [subprocess.CompletedProcess(*one) for one in json.loads(ended.stdout)]

    return tfdl


def summary(path: Path) -> dict[str, Any]:
    return json.loads((path / "summary.json").read_text())


def in_one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    return line


def test_it_trains_resumes_is_evaluated_and_exported(run: Any, run_all: Any, folder: Path) -> None:
    """A resumed run has the weights of one that was never stopped. Without the option, a run names it."""
    plugin = ("--plugin", "toy_parts")
    straight, evaluated, exported = run_all(
        ("train", *plugin, *OPTIONS, "--epochs", "2", "--output", "straight"),
        ("evaluate", "straight", *plugin, "--json"),
        ("export", "straight", "exported", *plugin),
    )
    assert straight.returncode == 0, straight.stderr
    assert "two-towers on bright-or-dark, captioned-pictures" in straight.stdout
    assert re.search(r"\n  tfdl evaluate straight --plugin toy_parts( --checkpoint best)?\n", straight.stdout)
    assert "\n  tfdl export straight exported/straight --plugin toy_parts" in straight.stdout
    assert json.loads(evaluated.stdout) == summary(folder / "straight")["test"]
    assert exported.returncode == 0, exported.stderr
    assert "caption: string (any)" in exported.stdout
    assert (folder / "exported" / "1" / "saved_model.pb").exists()
    # Keras numbers the layers of a second model, so the runs that are compared have a process each.
    stopped = run("train", *plugin, *OPTIONS, "--epochs", "1", "--output", "stopped")
    assert stopped.returncode == 0, stopped.stderr
    resumed = run("train", *plugin, "--resume", "--epochs", "2", "--output", "stopped")
    assert resumed.returncode == 0, resumed.stderr
    assert summary(folder / "stopped")["weights_sha256"] == summary(folder / "straight")["weights_sha256"]
    config = (folder / "straight" / "config.yaml").read_text()
    for name in ("two-towers", "captioned-pictures", "signum", "sawtooth", "letters", "row-noise", "bright-or-dark"):
        assert name in config
    assert "plugins:\n- toy_parts\n" in config

    (folder / "toy_parts.py").write_text("raise SystemExit('imported')\n")
    refused = run_all(
        ("evaluate", "straight"), ("export", "straight", "again"), ("train", "--resume", "--output", "straight")
    )
    for done in refused:
        assert "add --plugin toy_parts" in in_one_line(done)


@pytest.mark.parametrize("name", ["two-towers", "straight"])
def test_without_the_option_nothing_of_it_is_imported(run: Any, folder: Path, name: str) -> None:
    (folder / "toy_parts.py").write_text("raise SystemExit('imported')\n")
    if name == "two-towers":
        assert "unknown model 'two-towers', expected one of cnn" in in_one_line(run("train", "--model", name))
        return
    configuration = "model: cnn\ntask: image-classification\nplugins: [toy_parts]\n"
    (folder / "run.yaml").write_text(configuration)
    line = in_one_line(run("train", "--config", "run.yaml"))
    assert "needs the plugin 'toy_parts', which was not imported" in line
    assert "add --plugin toy_parts" in line


def test_the_environment_and_entry_points_name_installed_modules(run: Any, folder: Path, tmp_path: Path) -> None:
    variable = {"TFDL_PLUGINS": "toy_parts"}
    # The current folder is not searched for it.
    assert "TFDL_PLUGINS: 'toy_parts': no module 'toy_parts'" in in_one_line(run("models", env=variable))
    installed = variable | {"PYTHONPATH": str(folder)}
    assert "two-towers" in run("models", env=installed, cwd=tmp_path).stdout
    package = folder / "toy_package-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-package\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[tfdl.plugins]\nparts = toy_parts\n")
    found = run("models", env={"PYTHONPATH": str(folder)}, cwd=tmp_path)
    assert "two-towers" in found.stdout, found.stderr
    # Help needs no parts.
    (folder / "toy_parts.py").write_text("raise SystemExit('imported')\n")
    assert run("--help", env={"PYTHONPATH": str(folder)}, cwd=tmp_path).returncode == 0
    assert run("train", "--help", env={"PYTHONPATH": str(folder)}, cwd=tmp_path).returncode == 0


def test_an_error_in_a_plugin_s_own_code_names_its_place(run: Any, folder: Path) -> None:
    (folder / "broken.py").write_text(
        "from dataclasses import dataclass\nfrom typing import ClassVar\nimport tfdl\n\n\n@dataclass(frozen=True)\n"
        "class BrokenConfig(tfdl.ModelConfig):\n    name: ClassVar[str] = 'broken'\n"
        "    tasks: ClassVar[tuple] = ('image-classification',)\n    example_data: ClassVar[dict] = {}\n\n\n"
        "def build(config, *, input_shape, num_classes):\n    return [][0]\n\n\n"
        "tfdl.register_model(BrokenConfig, build)\n"
    )
    done = run("train", "--model", "broken:broken", "--output", "broken")
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert "tfdl: error in the plugin 'broken' (broken.py, line 14): IndexError: list index out of range" in line


def test_a_module_or_model_that_is_not_there_is_reported_as_given(run_all: Any, folder: Path) -> None:
    (folder / "empty.py").write_text("")
    messages = {
        "nowhere:mlp": "--model 'nowhere': no module 'nowhere', expected one in the current folder or an installed",
        "empty:mlp": "--model 'empty:mlp': the module registers no model 'mlp', and no other; call tfdl.register_",
        "toy_parts:": "--model 'toy_parts:', expected a name, or MODULE:NAME such as my_parts:mlp",
        "toy_parts:cnn": "--model 'toy_parts:cnn': the module registers no model 'cnn', expected one of two-towers",
    }
    *trained, described = run_all(*(("train", "--model", name) for name in messages), ("models", "toy_parts:cnn"))
    for done, message in zip(trained, messages.values(), strict=True):
        assert message in in_one_line(done)
    assert messages["toy_parts:cnn"] in in_one_line(described)


@pytest.mark.distributed
@pytest.mark.slow
def test_two_ranks_train_it_as_one(run: Any, folder: Path) -> None:
    """The same global batches give the same model."""
    options = ("--plugin", "toy_parts", *OPTIONS, "--set", "model.dropout=0", "--epochs", "2")
    alone = run("train", *options, "--batch-size", "8", "--output", "one")
    assert alone.returncode == 0, alone.stderr
    tfdl = (sys.executable, "-m", "tfdl")
    job = launch(2, *tfdl, "train", *options, "--batch-size", "4", "--output", "two", cwd=folder)
    assert job.code == 0, job.output
    found = summary(folder / "two")
    assert (found["world_size"], found["global_batch_size"]) == (2, 8)
    for split in ("validation", "test"):
        assert found[split] == pytest.approx(summary(folder / "one")[split], rel=1e-4)
