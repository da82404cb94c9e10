"""The recipes, and how to run one as a user would."""

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "horovod_launch"
PROGRAMS = Path(__file__).parent / "programs"
SCRIPTS = sorted(FOLDER.glob("*.sh"))
# A model that is quick to start, and trains for as many epochs as a test needs.
SMALL = ("--set", "model.filters=[4]", "--set", "model.units=8", "--set", "dataset.image_size=[8,8]")


def environment(**extra: str) -> dict[str, str]:
    """No scheduler's variables, and this interpreter's programs first on PATH."""
    foreign = ("SLURM", "LSB_", "HOROVOD", "PMI", "OMPI_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    path = os.pathsep.join((str(PROGRAMS), str(Path(sys.executable).parent), os.environ["PATH"]))
    return {**kept, "PATH": path, **extra}


def start(name: str, *arguments: str, cwd: Path, **extra: str) -> "subprocess.Popen[str]":
    """A recipe that runs; what it and its ranks print can be read."""
    return subprocess.Popen(
        [str(FOLDER / name), *arguments],
        cwd=cwd,
        env=environment(**extra),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(name: str, *arguments: str, cwd: Path, **extra: str) -> tuple[int, str]:
    """A recipe to its end: exit code and output."""
    job = start(name, *arguments, cwd=cwd, **extra)
    output, _ = job.communicate(timeout=240)
    return job.returncode, output
