"""What started this process, as its environment tells: one of several ranks, or a process by itself.

Nothing heavy is imported, so that a command knows its rank before it imports TensorFlow.
"""

import os
from dataclasses import dataclass

from tfdl.errors import UserError

# Launcher's name for a person -> the variables that it sets for rank and size.
LAUNCHERS = {
    "horovodrun": ("HOROVOD_RANK", "HOROVOD_SIZE"),
    "mpirun": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    "srun": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
    "a PMI launcher": ("PMI_RANK", "PMI_SIZE"),
}


@dataclass(frozen=True)
class Launch:
    """What the launcher said: its name, this process's rank, and the number of ranks."""

    launcher: str
    rank: int
    size: int


def find_launch() -> Launch:
    """Reads the launcher's variables; a process that nobody launched is rank 0 of 1.

    Raises:
        UserError: a rank without its size, or values that are no numbers.
    """
    launcher = _launcher()
    if launcher is None:
        return Launch("none", 0, 1)
    rank_name, size_name = LAUNCHERS[launcher]
    rank, size = os.environ.get(rank_name, ""), os.environ.get(size_name, "")
    if not (rank.isdigit() and size.isdigit() and int(rank) < int(size)):
        raise UserError(
            f"{rank_name}={rank!r} and {size_name}={size!r} in the environment, expected a rank below a size; "
            f"start the job through {launcher}, or unset both"
        )
    return Launch(launcher, int(rank), int(size))


def launched_rank() -> int | None:
    """This process's rank, also where ``find_launch`` would raise; ``None`` when nobody launched it."""
    launcher = _launcher()
    if launcher is None:
        return None
    rank = os.environ.get(LAUNCHERS[launcher][0], "")
    return int(rank) if rank.isdigit() else 0


def speaks_when_left_alone() -> bool:
    """Whether a rank above 0 that still runs after it met bad input is to say so.

    horovodrun and mpirun end every rank after the first that failed: who is left met it alone. srun may be told to end
    none, as ``horovod_launch/slurm.sh`` does: there one rank of each node speaks, for a typing error is all ranks'.
    """
    return _launcher() != "srun" or os.environ.get("SLURM_LOCALID", "0") == "0"


def _launcher() -> str | None:
    for launcher, names in LAUNCHERS.items():
        if launcher == "srun":
            if _started_by_srun():
                return launcher
        elif any(name in os.environ for name in names):
            return launcher
    return None


def _started_by_srun() -> bool:
    """A rank of a job step.

    A batch script has a SLURM_PROCID as well, and is no rank. mpirun of MPICH and Intel MPI starts its helpers with
    srun, one on each node, and the ranks inherit the helpers' numbers: those of PMI are the ranks' own.
    """
    size = os.environ.get("SLURM_STEP_NUM_TASKS")
    return size is not None and os.environ.get("PMI_SIZE", size) == size
