"""Horovod's launcher as install-horovod changes it: one line for failed ranks, a traceback for errors of its own."""

import importlib.util
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType

import psutil
import pytest

from tests.horovod_build.test_install import BUILD
from tfdl.errors import RunError
from tfdl.horovod_build import launcher_patch, wheel_build
from tfdl.horovod_build.launcher_patch import CHANGES, CHECKS, LAUNCHER, SHELL, patch_launcher

# Runs a launcher's file, without its slow checks for MPI and Gloo.
START = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("launch", sys.argv.pop(1))
launch = importlib.util.module_from_spec(spec)
spec.loader.exec_module(launch)
launch.mpi_built = lambda verbose=False: False
launch.gloo_built = lambda verbose=False: True
launch.run_commandline()
"""
FAIL_ON_LOCALHOST_FIRST = '[ "$HOROVOD_HOSTNAME" = localhost ] || sleep 1; exit 3'
KILL_RANK_1 = '[ "$HOROVOD_RANK" = 0 ] || kill -9 $$; exec sleep 30'
ELASTIC = ("--min-np", "2", "--max-np", "2", "--network-interfaces", "lo", "--host-discovery-script")


@dataclass(frozen=True)
class Finished:
    """A launcher's exit code, and the lines of the launcher and its ranks."""

    code: int
    lines: list[str]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with the launcher as Horovod's source has it, whichever Horovod is installed."""
    try:
        horovod = metadata.distribution("horovod")
    except metadata.PackageNotFoundError:
        pytest.skip("Horovod is not installed")
    folder = tmp_path / "source"
    for change in CHANGES:
        text = Path(str(horovod.locate_file(change.path))).read_text(encoding="utf-8")
        (folder / change.path).parent.mkdir(parents=True, exist_ok=True)
        (folder / change.path).write_text(text.replace(change.changed, change.original), encoding="utf-8")
    return folder


def run(folder: Path, *arguments: str) -> Finished:
    done = subprocess.run(
        [sys.executable, "-c", START, str(folder / LAUNCHER), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return Finished(done.returncode, done.stdout.splitlines())


@pytest.mark.distributed
def test_a_killed_rank_ends_the_launcher_with_one_line(source: Path) -> None:
    control = run(source, "-np", "2", "sh", "-c", KILL_RANK_1)
    assert control.code == 1
    assert "Traceback (most recent call last):" in control.lines
    patch_launcher(source)
    job = run(source, "-np", "2", "sh", "-c", KILL_RANK_1)
    assert job.code == 1
    assert "Traceback (most recent call last):" not in job.lines
    expected = "horovodrun: not all ranks succeeded; the cause is above (rank 1 ended first, with exit code 137)"
    assert job.lines[-1] == expected


@pytest.mark.distributed
def test_an_elastic_job_names_the_host_and_the_slot(source: Path, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts.sh"
    hosts.write_text("#!/bin/sh\necho localhost:1\necho 127.0.0.1:1\n")
    hosts.chmod(0o755)
    patch_launcher(source)
    job = run(
        source, "-np", "2", *ELASTIC, str(hosts), "sh", "-c", '[ "$HOROVOD_HOSTNAME" = localhost ] || sleep 1; exit 3'
    )
    assert job.code == 1
    assert "Traceback (most recent call last):" not in job.lines
    expected = "horovodrun: not all ranks succeeded; the cause is above (localhost[0] ended first, with exit code 3)"
    assert job.lines[-1] == expected


@pytest.mark.distributed
def test_a_job_that_succeeds_prints_nothing_more(source: Path) -> None:
    patch_launcher(source)
    assert run(source, "-np", "2", "echo", "hello").code == 0


@pytest.mark.distributed
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("-np", "3", "-H", "localhost:1", "true"), "ValueError: Requested more processes (3)"),
        (("-np", "2", *ELASTIC, "/bin/false", "true"), "RuntimeError: Job has been shutdown"),
    ],
    ids=["too few slots", "no hosts"],
)
def test_an_error_of_the_launcher_keeps_its_traceback(source: Path, arguments: tuple[str, ...], error: str) -> None:
    patch_launcher(source)
    job = run(source, *arguments)
    assert job.code == 1
    # A thread of the launcher may print its own error at the same time, into the same line.
    assert any("Traceback (most recent call last):" in line for line in job.lines), job.lines
    assert any(line.startswith(error) for line in job.lines), job.lines


def test_a_changed_launcher_is_not_changed_again_and_another_one_is_refused(source: Path) -> None:
    patch_launcher(source)
    changed = (source / LAUNCHER).read_text(encoding="utf-8")
    patch_launcher(source)
    assert (source / LAUNCHER).read_text(encoding="utf-8") == changed
    for path in (LAUNCHER, SHELL, CHECKS):
        whole = (source / path).read_text(encoding="utf-8")
        (source / path).write_text("def run_commandline():\n    pass\n", encoding="utf-8")
        with pytest.raises(RunError, match=rf"{path.name} is not the file of Horovod 0.28.1"):
            patch_launcher(source)
        (source / path).write_text(whole, encoding="utf-8")


class Gone:
    """A process that ends after it was found."""

    def __init__(self, pid: int):
        self.pid = pid

    def children(self) -> list["Gone"]:
        raise psutil.NoSuchProcess(self.pid)


def test_a_rank_that_ends_by_itself_at_that_moment(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "Process", Gone)
    with pytest.raises(psutil.NoSuchProcess):
        shell_of(source).terminate_executor_shell_and_children(12345)
    patch_launcher(source)
    shell_of(source).terminate_executor_shell_and_children(12345)


def shell_of(source: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("safe_shell_exec", source / SHELL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Asks a copy of the file how Horovod was built, without a TensorFlow that could be imported.
ASK = """
import importlib.util, sys
from importlib import metadata
sys.modules["tensorflow"] = None
metadata.version = lambda name: sys.argv[2]
spec = importlib.util.spec_from_file_location("horovod.common.util", sys.argv[1])
checks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(checks)
print(checks.gloo_built(), checks.mpi_built(), checks.nccl_built(), checks.extension_available("tensorflow"))
"""


def test_how_it_was_built_is_known_without_tensorflow(source: Path) -> None:
    """The control: the file as it was asks the library, which cannot be loaded."""

    def ask(label: str) -> str:
        command = [sys.executable, "-c", ASK, str(source / CHECKS), f"0.28.1+{label}"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.strip()

    assert ask("tf2.21.0.cpu.k0123456789ab") == "None None None False"
    patch_launcher(source)
    assert ask("tf2.21.0.cpu.k0123456789ab") == "True False False False"
    assert ask("tf2.21.0.cuda12.5.mpi.k0123456789ab") == "True True True False"


def test_the_wheel_has_the_changed_launcher(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip is replaced: it downloads the source from a folder, and packs it without compiling."""
    commands = {
        "install": "true",
        "download": f"mv {source} horovod-0.28.1 && tar -czf horovod-0.28.1.tar.gz --remove-files horovod-0.28.1",
        "wheel": f"mkdir wheels && cd horovod-0.28.1 && {sys.executable} -m zipfile -c ../wheels/horovod-1.whl horovod",
    }
    monkeypatch.setattr(wheel_build, "_pip", lambda command: ["sh", "-c", commands[command]])
    cache = tmp_path / "cache"
    cache.mkdir()
    wheel = wheel_build.build_wheel(BUILD, cache, dict(os.environ), lambda _: None)
    with zipfile.ZipFile(wheel) as archive:
        launcher = archive.read(LAUNCHER.as_posix()).decode()
        shell = archive.read(SHELL.as_posix()).decode()
        checks = archive.read(CHECKS.as_posix()).decode()
    assert launcher_patch._CHANGED in launcher
    assert launcher_patch._CHANGED_SHELL in shell
    assert launcher_patch._CHANGED_CHECK in checks
