"""Jobs of the scripts: they train one model, stop with a checkpoint on a scheduler's signal, and resume from it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.distributed.launching import PROGRAMS, has_horovod
from tests.horovod_launch.recipes import SMALL, run, start

pytestmark = [
    pytest.mark.distributed,
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.skipif(not has_horovod(), reason="no horovodrun"),
]

EPOCHS = 4
OPTIONS = ("--output", "run", *SMALL, "--set", "steps_per_execution=1", "--epochs", str(EPOCHS))


def finished(folder: Path) -> dict[str, object]:
    return json.loads((folder / "run" / "summary.json").read_text())


def status(folder: Path) -> dict[str, object]:
    return json.loads((folder / "run" / "status.json").read_text())


def until_it_trains(job: "subprocess.Popen[str]") -> str:
    """Waits for the line of the first epoch, and returns the output up to it."""
    output = []
    assert job.stdout is not None
    for line in job.stdout:
        output.append(line)
        if "examples/s" in line:
            break
    return "".join(output)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The summary of a job of ``local.sh`` that was not stopped."""
    folder = tmp_path_factory.mktemp("straight")
    code, output = run("local.sh", "2", *OPTIONS, cwd=folder)
    assert code == 0, output
    return finished(folder)


def test_local(straight):
    assert straight["world_size"] == 2
    assert straight["epochs"] == EPOCHS


def test_ssh_passes_a_signal_on_and_the_job_resumes(straight, tmp_path):
    (tmp_path / "hosts").write_text("# this machine\nlocalhost slots=2\n")
    command = ("ssh.sh", "hosts", *OPTIONS)
    job = start(*command, cwd=tmp_path)
    output = until_it_trains(job)
    job.send_signal(signal.SIGUSR1)
    output += job.communicate(timeout=120)[0]
    assert job.returncode == 75, output
    assert "stoppable.sh: SIGUSR1: the ranks were asked to stop and save" in output
    assert "stopped by SIGUSR1" in status(tmp_path)["reason"]
    assert not (tmp_path / "run" / "summary.json").exists()
    code, output = run(*command, "--resume", cwd=tmp_path)
    assert code == 0, output
    assert finished(tmp_path)["weights_sha256"] == straight["weights_sha256"]


def test_without_the_recipe_the_launcher_dies_of_the_signal(tmp_path):
    """The control: a scheduler could not distinguish this from a crash."""
    job = start("local.sh", "2", *OPTIONS[:-1], "50", cwd=tmp_path)
    output = until_it_trains(job)
    job.send_signal(signal.SIGUSR1)
    output += job.communicate(timeout=120)[0]
    assert job.returncode == -signal.SIGUSR1, output


def test_elastic_on_one_host_needs_the_name_of_the_network(straight, tmp_path):
    (tmp_path / "hosts.sh").write_text("#!/bin/sh\necho localhost:2\n")
    (tmp_path / "hosts.sh").chmod(0o755)
    command = ("elastic.sh", "2", "2", "./hosts.sh", *OPTIONS)
    code, output = run(*command, cwd=tmp_path)
    assert (code, output.count("\n")) == (2, 1), output
    assert "one host, localhost" in output
    code, output = run(*command, cwd=tmp_path, HOROVODRUN_FLAGS="--network-interfaces lo")
    assert code == 0, output
    assert finished(tmp_path)["world_size"] == 2
    assert finished(tmp_path)["steps"] == straight["steps"]


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """The environment of a job of two ranks on a fake cluster of this machine."""
    programs = tmp_path / "slurm"
    programs.mkdir()
    for name, text in {
        # Slurm sends signals to the ranks. This writes the process id of their parent, so that the test can.
        "srun": f'#!/bin/sh\necho $$ >"{tmp_path}/srun.pid"\nexec {sys.executable} {PROGRAMS / "srun.py"} "$@"\n',
        "scontrol": f'#!/bin/sh\necho "$@" >>"{tmp_path}/scontrol.log"\n',
    }.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    path = f"{programs}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "SLURM_JOB_ID": str(os.getpid()), "SLURM_NTASKS": "2", "SLURM_JOB_NUM_NODES": "1"}


@pytest.mark.parametrize(("name", "queued"), [("SIGUSR1", True), ("SIGTERM", False)])
def test_slurm_requeues_when_the_time_is_up_and_not_when_cancelled(straight, slurm, tmp_path, name, queued):
    job = start("slurm.sh", *OPTIONS, cwd=tmp_path, **slurm)
    output = until_it_trains(job)
    for rank in ranks_of(int((tmp_path / "srun.pid").read_text())):
        os.kill(rank, signal.Signals[name])
    output += job.communicate(timeout=120)[0]
    assert job.returncode == 75, output
    log = tmp_path / "scontrol.log"
    assert (log.read_text() if log.exists() else "") == (f"requeue {os.getpid()}\n" if queued else ""), output
    if queued:
        code, output = run("slurm.sh", *OPTIONS, cwd=tmp_path, **slurm)  # the same script, as Slurm starts it again
        assert code == 0, output
        assert finished(tmp_path)["weights_sha256"] == straight["weights_sha256"]


def ranks_of(srun: int) -> list[int]:
    """The processes that the fake srun started."""
    return [int(child) for child in Path(f"/proc/{srun}/task/{srun}/children").read_text().split()]
