"""``tfdl install-horovod`` at the command line: help, progress lines, exit codes."""

import subprocess
import sys
from pathlib import Path

import pytest

from tfdl.cli.main import main
from tfdl.errors import RunError
from tfdl.horovod_build import install
from tfdl.horovod_build.allreduce_proof import Proof


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["install-horovod", *arguments])
    return int(ended.value.code or 0)


def test_help_has_examples_and_needs_no_tensorflow():
    program = (
        "import sys; from tfdl.cli.main import group\n"
        "group.main(['install-horovod', '--help'], standalone_mode=False)\n"
        "assert 'tensorflow' not in sys.modules and 'tfdl.horovod_build.install' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "Examples:\n    tfdl install-horovod " in done.stdout
    assert "--gpu / --cpu" in done.stdout


def test_options_go_through_and_progress_is_shown(monkeypatch, capsys):
    received = {}

    def stand_in(report, **options):
        received.update(options)
        report("building")
        return install.InstalledHorovod("0.28.1+x", "cache", Path("w.whl"), {"gloo": Proof("CPU", 8.0)}, 12.3)

    monkeypatch.setattr(install, "install_horovod", stand_in)
    assert run() == 0
    assert received == {"gpu": None, "mpi": False, "force": False}
    assert capsys.readouterr().out == "building\nHorovod 0.28.1+x: installed from the cache, and proved, in 12 s\n"
    assert run("--gpu", "--mpi", "--force", "--debug") == 0
    assert received == {"gpu": True, "mpi": True, "force": True}
    assert run("--cpu") == 0
    assert received["gpu"] is False


def test_a_failure_is_exit_1(monkeypatch, capsys):
    def fail(**_):
        raise RunError("building Horovod failed: a.cc:1:1: error: x; the whole log is /cache/build.log")

    monkeypatch.setattr(install, "install_horovod", fail)
    assert run() == 1
    line = "tfdl: error: building Horovod failed: a.cc:1:1: error: x; the whole log is /cache/build.log\n"
    assert capsys.readouterr().err == line


def test_a_missing_compiler_is_exit_2_and_one_line(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("TFDL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("CXX", raising=False)
    assert run("--cpu") == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(
        "tfdl: error: no C++ compiler (none on PATH), and Horovod is compiled from source: install"
    )
    assert captured.err.count("\n") == 1
    assert captured.out == ""
