"""More jobs of the scripts of horovod_launch/: resumed over ssh, cancelled by Slurm, elastic, and without a recipe."""

import signal
from pathlib import Path

import pytest

from tests.distributed.launching import has_horovod
from tests.horovod_launch.jobs import OPTIONS, fake_slurm, stop_by_slurm, summary_of, wait_until_it_trains
from tests.horovod_launch.recipes import run, start

pytestmark = [pytest.mark.distributed, pytest.mark.skipif(not has_horovod(), reason="no horovodrun")]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The summary of a job of ``local.sh`` that was not stopped."""
    folder = tmp_path_factory.mktemp("straight")
    code, output = run("local.sh", "2", *OPTIONS, cwd=folder)
    assert code == 0, output
    return summary_of(folder)


def test_a_job_over_ssh_resumes_where_a_signal_stopped_it(straight: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("localhost slots=2\n")
    command = ("ssh.sh", "hosts", *OPTIONS)
    job = start(*command, cwd=tmp_path)
    output = wait_until_it_trains(job)
    job.send_signal(signal.SIGUSR1)
    rest, _ = job.communicate(timeout=120)
    output += rest
    assert job.returncode == 75, output
    code, output = run(*command, "--resume", cwd=tmp_path)
    assert code == 0, output
    assert summary_of(tmp_path)["weights_sha256"] == straight["weights_sha256"]


def test_without_the_recipe_the_signal_kills_the_launcher(tmp_path: Path) -> None:
    """The control: a scheduler could not distinguish this from a crash."""
    job = start("local.sh", "2", *OPTIONS[:-1], "50", cwd=tmp_path)
    output = wait_until_it_trains(job)
    job.send_signal(signal.SIGUSR1)
    rest, _ = job.communicate(timeout=120)
    output += rest
    assert job.returncode == -signal.SIGUSR1, output


def test_an_elastic_job_on_one_host(straight: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "hosts.sh").write_text("#!/bin/sh\necho localhost:2\n")
    (tmp_path / "hosts.sh").chmod(0o755)
    command = ("elastic.sh", "2", "2", "./hosts.sh", *OPTIONS)
    code, output = run(*command, cwd=tmp_path, HOROVODRUN_FLAGS="--network-interfaces lo")
    assert code == 0, output
    assert summary_of(tmp_path)["world_size"] == 2
    assert summary_of(tmp_path)["steps"] == straight["steps"]


def test_slurm_does_not_requeue_a_cancelled_job(tmp_path: Path) -> None:
    environment = fake_slurm(tmp_path, state="CANCELLED")
    assert stop_by_slurm(tmp_path, "SIGTERM", environment) == (75, "")
