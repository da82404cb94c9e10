"""Gives each rank of a benchmark one core, so that ranks do not compete for cores."""

import os


def pin_to_core(local_rank: int) -> None:
    """Pins this process to one core.

    Call it before TensorFlow or PyTorch is imported: they start as many threads as the process has cores.

    Args:
        local_rank: number of the rank on its host; it chooses the core.
    """
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[local_rank % len(cores)]})


def horovod_local_rank() -> int:
    """Returns the rank's number on its host, under horovodrun with Gloo or with Open MPI."""
    return int(os.environ.get("HOROVOD_LOCAL_RANK") or os.environ["OMPI_COMM_WORLD_LOCAL_RANK"])
