"""Reads from the environment which launcher started this process, and as which rank.

It imports nothing heavy, so a command knows its rank before it imports TensorFlow.
"""

import os
from dataclasses import dataclass

from tfdl.errors import UserError

# The launcher's name in messages -> the variables in which it passes rank and size.
LAUNCHERS = {
    "horovodrun": ("HOROVOD_RANK", "HOROVOD_SIZE"),
    "mpirun": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    "srun": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
    "a PMI launcher": ("PMI_RANK", "PMI_SIZE"),
}


@dataclass(frozen=True)
class Launch:
    """How this process was started."""

    launcher: str
    """The launcher's name."""
    rank: int
    """This process's rank."""
    size: int
    """The number of ranks."""


def find_launch() -> Launch:
    """Reads the launcher's variables. A process without a launcher is rank 0 of 1.

    Raises:
        UserError: rank or size is missing or not a number, or the rank is not below the size.
    """
    launcher = _find_launcher()
    if launcher is None:
        return Launch("none", 0, 1)
    rank_name, size_name = LAUNCHERS[launcher]
    rank = os.environ.get(rank_name, "")
    size = os.environ.get(size_name, "")
    if not (rank.isdigit() and size.isdigit() and int(rank) < int(size)):
        raise UserError(
            f"{rank_name}={rank!r} and {size_name}={size!r} in the environment, expected a rank below a size; "
            f"start the job through {launcher}, or unset both"
        )
    return Launch(launcher, int(rank), int(size))


def is_elastic_launch() -> bool:
    """Whether the launcher's ranks may change: it was started with a script that lists the hosts."""
    return os.environ.get("HOROVOD_ELASTIC") == "1"


def launched_rank() -> int | None:
    """Returns this process's rank, even if ``find_launch`` would raise; ``None`` without a launcher."""
    launcher = _find_launcher()
    if launcher is None:
        return None
    rank_name, _ = LAUNCHERS[launcher]
    rank = os.environ.get(rank_name, "")
    return int(rank) if rank.isdigit() else 0


def speaks_when_left_alone() -> bool:
    """Whether a rank above 0 that is still running some time after bad input should print the error.

    horovodrun and mpirun end all ranks after the first failure, so a rank that is still running is the only one with
    the error. srun may be configured to end no rank, as in ``horovod_launch/slurm.sh``. Then one rank of each node
    prints it, because all ranks have the error if it is in the command.
    """
    return _find_launcher() != "srun" or os.environ.get("SLURM_LOCALID", "0") == "0"


def _find_launcher() -> str | None:
    """The name of the launcher whose variables are set."""
    for launcher, variables in LAUNCHERS.items():
        if launcher == "srun":
            is_launcher = _is_rank_of_srun()
        else:
            is_launcher = any(variable in os.environ for variable in variables)
        if is_launcher:
            return launcher
    return None


def _is_rank_of_srun() -> bool:
    """Whether this process is a task of a Slurm job step.

    A batch script also has SLURM_PROCID, but is no rank. mpirun of MPICH and Intel MPI starts one helper per node with
    srun, and the ranks inherit the helpers' Slurm variables; only their PMI variables are their own.
    """
    size = os.environ.get("SLURM_STEP_NUM_TASKS")
    return size is not None and os.environ.get("PMI_SIZE", size) == size
