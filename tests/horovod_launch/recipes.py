"""Runs the scripts of horovod_launch/ as a user does."""

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "horovod_launch"
PROGRAMS = Path(__file__).parent / "programs"
SCRIPTS = sorted(FOLDER.glob("*.sh"))
# A small model, which starts quickly.
SMALL = ("--set", "model.filters=[4]", "--set", "model.units=8", "--set", "dataset.image_size=[8,8]")


def environment(**extra: str) -> dict[str, str]:
    """This process's environment without a scheduler's variables; this interpreter's programs are first on PATH."""
    of_schedulers = ("SLURM", "LSB_", "HOROVOD", "PMI", "OMPI_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(of_schedulers)}
    path = os.pathsep.join((str(PROGRAMS), str(Path(sys.executable).parent), os.environ["PATH"]))
    return {**kept, "PATH": path, **extra}


def start(name: str, *arguments: str, cwd: Path, **extra: str) -> "subprocess.Popen[str]":
    """Starts a script; its output and that of its ranks can be read."""
    return subprocess.Popen(
        [str(FOLDER / name), *arguments],
        cwd=cwd,
        env=environment(**extra),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(name: str, *arguments: str, cwd: Path, **extra: str) -> tuple[int, str]:
    """Runs a script to its end, and returns its exit code and output."""
    job = start(name, *arguments, cwd=cwd, **extra)
    output, _ = job.communicate(timeout=240)
    return job.returncode, output
