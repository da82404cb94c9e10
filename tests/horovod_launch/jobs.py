"""A small training job for the scripts of horovod_launch/, signals to it, and a fake Slurm."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.distributed.launching import PROGRAMS
from tests.horovod_launch.recipes import SMALL, start

EPOCHS = 4
OPTIONS = ("--output", "run", *SMALL, "--set", "steps_per_execution=1", "--epochs", str(EPOCHS))


def summary_of(folder: Path) -> dict[str, object]:
    return json.loads((folder / "run" / "summary.json").read_text())


def status_of(folder: Path) -> dict[str, object]:
    return json.loads((folder / "run" / "status.json").read_text())


def wait_until_it_trains(job: "subprocess.Popen[str]") -> str:
    """Waits for the line of the first epoch, and returns the output up to it."""
    return wait_for_line(job, "examples/s")


def wait_for_line(job: "subprocess.Popen[str]", words: str) -> str:
    """Waits for a line with some words, and returns the output up to it."""
    output = []
    assert job.stdout is not None
    for line in job.stdout:
        output.append(line)
        if words in line:
            break
    return "".join(output)


def fake_slurm(folder: Path, state: str = "RUNNING", preempted: str = "None") -> dict[str, str]:
    """Writes the programs ``srun`` and ``scontrol``. Returns the environment of a job of two ranks that uses them.

    Args:
        folder: gets the programs, and the arguments of scontrol in ``scontrol.log``.
        state: of the job, as scontrol reports it.
        preempted: when the job was preempted, as scontrol reports it.
    """
    programs = folder / "slurm"
    programs.mkdir()
    # Slurm sends signals to the ranks. This srun writes its process id, so that the test can send them.
    srun = f'#!/bin/sh\necho $$ >"{folder}/srun.pid"\nexec {sys.executable} {PROGRAMS / "srun.py"} "$@"\n'
    description = f"   JobState={state} Reason=None\\n   PreemptEligibleTime=now PreemptTime={preempted}"
    scontrol = f'#!/bin/sh\n[ "$1" = show ] && printf "{description}\\n" || echo "$@" >>"{folder}/scontrol.log"\n'
    for name, text in {"srun": srun, "scontrol": scontrol}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    path = os.pathsep.join((str(programs), str(Path(sys.executable).parent), os.environ["PATH"]))
    return {"PATH": path, "SLURM_JOB_ID": str(os.getpid()), "SLURM_NTASKS": "2", "SLURM_JOB_NUM_NODES": "1"}


def stop_by_slurm(folder: Path, name: str, slurm: dict[str, str], *, at: str = "examples/s") -> tuple[int, str]:
    """Starts ``slurm.sh`` and sends a signal to its ranks. Returns the exit code and the arguments of scontrol.

    Args:
        folder: the working directory.
        name: of the signal.
        slurm: the environment.
        at: the signal is sent when the job has printed this.
    """
    job = start("slurm.sh", *OPTIONS, cwd=folder, **slurm)
    wait_for_line(job, at)
    srun = int((folder / "srun.pid").read_text())
    for rank in Path(f"/proc/{srun}/task/{srun}/children").read_text().split():
        os.kill(int(rank), signal.Signals[name])
    job.communicate(timeout=120)
    log = folder / "scontrol.log"
    return job.returncode, log.read_text() if log.exists() else ""
