"""Jobs of the scripts: they train one model, stop with a checkpoint on a scheduler's signal, and resume from it.

``tests/soak/test_jobs.py`` has more of them.
"""

import os
import signal
from pathlib import Path

import pytest

from tests.distributed.launching import has_horovod
from tests.horovod_launch.jobs import (
    EPOCHS,
    OPTIONS,
    fake_slurm,
    status_of,
    stop_by_slurm,
    summary_of,
    wait_until_it_trains,
)
from tests.horovod_launch.recipes import run, start

pytestmark = [
    pytest.mark.distributed,
    pytest.mark.slow,
    pytest.mark.skipif(not has_horovod(), reason="no horovodrun"),
]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The summary of a job of ``local.sh`` that was not stopped."""
    folder = tmp_path_factory.mktemp("straight")
    code, output = run("local.sh", "2", *OPTIONS, cwd=folder)
    assert code == 0, output
    return summary_of(folder)


def test_local(straight: dict[str, object]) -> None:
    assert straight["world_size"] == 2
    assert straight["epochs"] == EPOCHS


def test_ssh_passes_a_signal_on_and_the_job_saves(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("# this machine\nlocalhost slots=2\n")
    job = start("ssh.sh", "hosts", *OPTIONS, cwd=tmp_path)
    output = wait_until_it_trains(job)
    job.send_signal(signal.SIGUSR1)
    output += job.communicate(timeout=120)[0]
    assert job.returncode == 75, output
    assert "stoppable.sh: SIGUSR1: the ranks were asked to stop and save" in output
    assert "stopped by SIGUSR1" in status_of(tmp_path)["reason"]
    assert not (tmp_path / "run" / "summary.json").exists()


def test_elastic_on_one_host_needs_the_name_of_the_network(tmp_path: Path) -> None:
    (tmp_path / "hosts.sh").write_text("#!/bin/sh\necho localhost:2\n")
    (tmp_path / "hosts.sh").chmod(0o755)
    code, output = run("elastic.sh", "2", "2", "./hosts.sh", *OPTIONS, cwd=tmp_path)
    assert (code, output.count("\n")) == (2, 1), output
    assert "one host, localhost" in output


def test_slurm_requeues_a_job_whose_time_is_up(straight: dict[str, object], tmp_path: Path) -> None:
    slurm = fake_slurm(tmp_path)
    assert stop_by_slurm(tmp_path, "SIGUSR1", slurm) == (75, f"requeue {os.getpid()}\n")
    code, output = run("slurm.sh", *OPTIONS, cwd=tmp_path, **slurm)  # the same script, as Slurm starts it again
    assert code == 0, output
    assert summary_of(tmp_path)["weights_sha256"] == straight["weights_sha256"]
