"""Bad input under the launcher: every rank ends, the chief prints one line with the reason, and no file is left."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.distributed.launching import environment, launch

TFDL = str(Path(sys.executable).with_name("tfdl"))


def complaints(output: str) -> list[str]:
    """tfdl's own lines."""
    return [line for line in output.splitlines() if "tfdl: " in line]


@pytest.mark.distributed
@pytest.mark.slow
def test_one_line_and_nothing_written(tmp_path: Path) -> None:
    run = tmp_path / "run"
    job = launch(2, "tfdl", "train", "--output", str(run), "--batch-size", "1000")
    assert job.code != 0
    lines = complaints(job.output)
    assert len(lines) == 1, job.output
    assert "batch_size=1000 on each of 2 ranks, but 'digits' has 1437 training samples" in lines[0]
    assert "status code 2" in job.output  # horovodrun's own report of a rank's exit code
    assert not run.exists()


@pytest.mark.distributed
@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_ends_every_rank(tmp_path: Path) -> None:
    """The error occurs on the chief only. No other rank keeps waiting, and no checkpoint is half-written."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"this machine mounts no tmpfs: {mounted.stderr.strip()}")
    try:
        job = launch(2, "tfdl", "train", "--output", str(small / "run"), "--steps", "2")
        assert job.code != 0
        lines = complaints(job.output)
        line, advice = lines
        assert "No space left on device" in line
        assert " saved; " in advice
        checkpoints = [path for path in (small / "run" / "checkpoints").iterdir() if not path.is_symlink()]
        assert all((path / "manifest.json").is_file() for path in checkpoints), checkpoints
    finally:
        subprocess.run(["umount", str(small)], check=True)


SLOW_CHIEF = """
import os, runpy, sys, time
if os.environ["HOROVOD_RANK"] == "0":
    time.sleep(2)  # the fault: the chief starts after the other ranks have had their error
sys.argv = ["tfdl", "train", "--output", sys.argv[1], *sys.argv[2:]]
runpy.run_module("tfdl", run_name="__main__")
"""

SLOW_RANK = """
import importlib, os, signal, sys
from tfdl.cli import main as cli
def imported(name):
    if os.environ["HOROVOD_RANK"] == "1":
        signal.pause()  # the fault: the rank has the error only after the launcher has asked it to end
    return importlib.import_module(name)
cli.import_module = imported
cli.main(["train", "--output", sys.argv[1], *sys.argv[2:]])
"""


@pytest.mark.distributed
@pytest.mark.slow
@pytest.mark.parametrize("program", [SLOW_CHIEF, SLOW_RANK], ids=["chief", "rank"])
def test_only_the_chief_reports_the_error_whichever_rank_is_late(tmp_path: Path, program: str) -> None:
    (tmp_path / "late.py").write_text(program)
    job = launch(2, sys.executable, str(tmp_path / "late.py"), str(tmp_path / "run"), "--model", "cn")
    assert job.code != 0
    lines = complaints(job.output)
    assert len(lines) == 1, job.output
    assert "tfdl: error: unknown model 'cn'" in lines[0]


@pytest.mark.distributed
@pytest.mark.slow
def test_bad_input_of_one_rank_is_reported_by_that_rank(tmp_path: Path) -> None:
    """As on a host without the data. The chief has no error, so the user would otherwise see none."""
    command = f'[ "$HOROVOD_RANK" = 1 ] && set -- --model cn; exec {TFDL} train --output {tmp_path / "run"} "$@"'
    job = launch(2, "bash", "-c", command)
    assert job.code != 0
    # Rank 0 may print that it was interrupted.
    errors = [line for line in complaints(job.output) if "error:" in line]
    assert len(errors) == 1, job.output
    assert "tfdl: rank 1: error: unknown model 'cn'" in errors[0]


def run_alone(tmp_path: Path, **extra: str) -> "subprocess.CompletedProcess[str]":
    """``tfdl train`` with a launcher's variables set by hand."""
    return subprocess.run(
        [TFDL, "train", "--output", str(tmp_path / "run")],
        env=environment(**extra),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.distributed
@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_launcher_with_another_number_of_ranks_is_an_error_on_every_rank(tmp_path: Path, rank: str) -> None:
    """mpirun with a Horovod built for Gloo alone: each rank would train by itself."""
    done = run_alone(tmp_path, OMPI_COMM_WORLD_RANK=rank, OMPI_COMM_WORLD_SIZE="2")
    assert done.returncode == 2
    prefix = "" if rank == "0" else "rank 1: "  # no launcher ends rank 1 here, so it reports its error itself
    assert f"tfdl: {prefix}error: mpirun started 2 ranks but Horovod sees 1" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("rank", ["0", "1"])
def test_several_ranks_without_horovod_are_an_error_on_every_rank(tmp_path: Path, rank: str) -> None:
    """A package that fails to import comes before the installed one on the path."""
    broken = tmp_path / "packages" / "horovod"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('no Horovod here')\n")
    done = run_alone(tmp_path, HOROVOD_RANK=rank, HOROVOD_SIZE="2", PYTHONPATH=str(broken.parent))
    assert done.returncode == 2
    prefix = "" if rank == "0" else "rank 1: "
    assert f"tfdl: {prefix}error: horovodrun started 2 ranks" in done.stderr
    assert "tfdl install-horovod" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_rank_without_a_size_is_an_error(tmp_path: Path) -> None:
    done = run_alone(tmp_path, HOROVOD_RANK="0")
    assert done.returncode == 2
    assert "HOROVOD_SIZE=''" in done.stderr
