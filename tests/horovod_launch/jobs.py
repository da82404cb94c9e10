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
    output = []
    assert job.stdout is not None
    for line in job.stdout:
        output.append(line)
        if "examples/s" in line:
            break
    return "".join(output)


def fake_slurm(folder: Path) -> dict[str, str]:
    """Writes the programs ``srun`` and ``scontrol``. Returns the environment of a job of two ranks that uses them."""
    programs = folder / "slurm"
    programs.mkdir()
    # Slurm sends signals to the ranks. This srun writes its process id, so that the test can send them.
    srun = f'#!/bin/sh\necho $$ >"{folder}/srun.pid"\nexec {sys.executable} {PROGRAMS / "srun.py"} "$@"\n'
    scontrol = f'#!/bin/sh\necho "$@" >>"{folder}/scontrol.log"\n'
    for name, text in {"srun": srun, "scontrol": scontrol}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    path = os.pathsep.join((str(programs), str(Path(sys.executable).parent), os.environ["PATH"]))
    return {"PATH": path, "SLURM_JOB_ID": str(os.getpid()), "SLURM_NTASKS": "2", "SLURM_JOB_NUM_NODES": "1"}


def stop_by_slurm(folder: Path, name: str, slurm: dict[str, str]) -> tuple[int, str]:
    """Starts ``slurm.sh`` and sends a signal to its ranks. Returns the exit code and the arguments of scontrol."""
    job = start("slurm.sh", *OPTIONS, cwd=folder, **slurm)
    wait_until_it_trains(job)
    srun = int((folder / "srun.pid").read_text())
    for rank in Path(f"/proc/{srun}/task/{srun}/children").read_text().split():
        os.kill(int(rank), signal.Signals[name])
    job.communicate(timeout=120)
    log = folder / "scontrol.log"
    return job.returncode, log.read_text() if log.exists() else ""
