"""Which ends of a job lead to another start: ``slurm.sh``, ``stoppable.sh`` (for ``lsf.sh``) and ``restarting.sh``.

Small scripts stand in for the scheduler and for training. ``tests/soak/test_slurm.py`` has a real Slurm.
"""

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.horovod_launch.recipes import run, start

SLURM = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_JOB_NUM_NODES": "2"}
REQUEUED = "slurm.sh: {}; requeuing the job\n"
NO_PROGRESS = "stopped before a new checkpoint was saved"
# Training that has saved another checkpoint each time it is started.
SAVE = 'mkdir -p "run/checkpoints/step-$(cat starts)"'
COUNT = "echo x >>starts_made; wc -l <starts_made >starts"


@pytest.fixture
def programs(tmp_path):
    """``programs(srun="exit 75")`` writes scripts, first on PATH; returns variables for the environment."""

    def write(**scripts):
        folder = tmp_path / "programs"
        folder.mkdir(exist_ok=True)
        for name, text in {"tfdl": "exit 0", **scripts}.items():
            (folder / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / name).chmod(0o755)
        return {"PATH": f"{folder}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}/usr/bin:/bin"}

    return write


def slurm(programs, cwd, *, train, state="RUNNING", preempted="None", probe="exit 0", nodes="n1 is mixed", **extra):
    """Runs ``slurm.sh``, whose srun trains with one script and probes the nodes with another.

    Returns:
        The exit code, the output, and the jobs that were requeued.
    """
    description = f"JobId=7 JobState={state} Reason=None\\n   PreemptEligibleTime=1 PreemptTime={preempted} X=1"
    paths = programs(
        srun=f'{COUNT}\ncase "$*" in *--overlap*) {probe};; *) echo "$*" >command; {train};; esac',
        scontrol=f'case "$1" in show) printf "{description}\\n";; *) echo "$*" >>scontrol.log;; esac',
        sinfo=f"echo '{nodes}'",
    )
    arguments = extra.pop("arguments", ("--output", "run"))
    code, output = run("slurm.sh", *arguments, cwd=cwd, **{**SLURM, **extra, **paths})
    log = cwd / "scontrol.log"
    return code, output, log.read_text() if log.exists() else ""


@pytest.mark.parametrize(("ending", "words"), [
    ({"train": f"{SAVE}; exit 75"}, "stopped with a new checkpoint"),
    ({"train": f"{SAVE}; exit 138"}, "stopped with a new checkpoint"),
    ({"train": "exit 75", "preempted": "2026-12-01T02:04:22"}, "preempted at 2026-12-01T02:04:22"),
    ({"train": "exit 1", "nodes": "n2 is allocated*"}, "node n2 is allocated*"),
    ({"train": "exit 1", "nodes": "n2 is down"}, "node n2 is down"),
    ({"train": "exit 1", "probe": "echo srun: error: Task launch for StepId=7.1 failed on node n2: Timeout; exit 1"},
     "failed on node n2"),
])  # fmt: skip
def test_slurm_requeues(programs, tmp_path, ending, words):
    code, output, requeued = slurm(programs, tmp_path, **ending)
    assert (code, output, requeued) == (75, REQUEUED.format(words), "requeue 7\n")


@pytest.mark.parametrize(("ending", "code", "words"), [
    ({"train": "exit 0"}, 0, ""),
    ({"train": "exit 2"}, 2, ""),
    ({"train": f"{SAVE}; exit 1"}, 1, ""),
    ({"train": "exit 1", "probe": "echo srun: error: Invalid Trackable RESource; exit 1"}, 1, ""),
    ({"train": f"{SAVE}; exit 75", "state": "CANCELLED"}, 75, ""),
    ({"train": "exit 75"}, 1, NO_PROGRESS),
    ({"train": "mkdir -p run/checkpoints/.unfinished; exit 75"}, 1, NO_PROGRESS),
])  # fmt: skip
def test_slurm_does_not_requeue(programs, tmp_path, ending, code, words):
    (tmp_path / "run" / "checkpoints" / "step-00000000").mkdir(parents=True)
    (tmp_path / "run" / "status.json").write_text('{"code": 75, "reason": "stopped by SIGUSR1 at step 3"}')
    found, output, requeued = slurm(programs, tmp_path, **ending)
    assert (found, requeued) == (code, "")
    assert words in output
    assert output.count("\n") == bool(words)


def test_a_task_of_an_array_has_its_own_run_and_seed(programs, tmp_path):
    """It is requeued by its number in the array: 7 would be the whole array."""
    array = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}
    save = 'mkdir -p "run/seed-3/checkpoints/step-1"'
    code, output, requeued = slurm(programs, tmp_path, train=f"{save}; exit 75", **array)
    assert (code, requeued) == (75, "requeue 7_3\n"), output
    command = (tmp_path / "command").read_text()
    assert command.endswith("tfdl train --resume --output run --output run/seed-3 --seed 3\n")
    refused = slurm(programs, tmp_path, train="exit 0", arguments=("--output=run", "--seed", "5"), **array)
    assert refused[:2] == (2, "slurm.sh: --seed in an array, whose numbers are the seeds; leave it out\n")


@pytest.mark.parametrize(("saves", "code"), [(f"{COUNT}; {SAVE}", 75), ("true", 1)])
def test_a_scheduler_s_stop_has_code_75_only_with_a_new_checkpoint(programs, tmp_path, saves, code):
    """horovodrun exits with 1; the rank's own code is in status.json."""
    (tmp_path / "run").mkdir()
    status = """echo '{"code": 75, "reason": "stopped"}' >run/status.json"""
    paths = programs(horovodrun=f"{saves}; {status}; exit 1")
    found, output = run("stoppable.sh", "-np", "2", "--", "tfdl", "train", "--output", "run", cwd=tmp_path, **paths)
    assert found == code, output
    assert (f"stoppable.sh: {NO_PROGRESS}" in output) == (code == 1)


def restarting(programs, cwd, job, ssh="exit 0"):
    """Runs ``restarting.sh`` with a job; returns the exit code, the output, and how often the job was started."""
    (cwd / "hosts").write_text("# pods\nn1 slots=4\nn2 slots=4\n")
    paths = programs(horovodrun=f"{COUNT}\n{job}", ssh=ssh, sleep="exit 0")
    arguments = ("horovodrun", "--hostfile", "hosts", "tfdl", "train", "--output", "run", "--resume")
    code, output = run("restarting.sh", *arguments, cwd=cwd, **paths)
    return code, output, int((cwd / "starts").read_text())


def test_a_job_that_makes_progress_is_started_again(programs, tmp_path):
    code, output, starts = restarting(programs, tmp_path, f"{SAVE}; [ $(cat starts) = 3 ]")
    assert (code, starts) == (0, 3), output


def test_a_typing_error_is_not_repeated(programs, tmp_path):
    code, output, starts = restarting(programs, tmp_path, "exit 2")
    assert (code, starts) == (2, 1)
    assert output.count("\n") == 1
    assert "no new checkpoint and all hosts answer; the job would fail again (exit code 2)" in output


def test_a_lost_host_is_waited_for(programs, tmp_path):
    """n2 does not answer three times. The job has no checkpoint yet."""
    ssh = 'case "$*" in *n2*) echo x >>asked; [ $(wc -l <asked) -gt 3 ];; esac'
    code, output, starts = restarting(programs, tmp_path, "[ $(cat starts) = 2 ]", ssh)
    assert (code, starts) == (0, 2), output


def test_sigterm_ends_the_job_and_its_restarts(programs, tmp_path):
    paths = programs(horovodrun=f"{COUNT}\n{SAVE}\nexec /bin/sleep 200")
    job = start("restarting.sh", "horovodrun", "--output=run", "--resume", cwd=tmp_path, **paths)
    checkpoint = tmp_path / "run" / "checkpoints" / "step-1"
    while not checkpoint.exists():
        assert job.poll() is None, job.communicate()
    job.send_signal(signal.SIGTERM)
    output, _ = job.communicate(timeout=60)
    assert job.returncode == 128 + signal.SIGTERM, output
    assert (tmp_path / "starts").read_text().strip() == "1"
