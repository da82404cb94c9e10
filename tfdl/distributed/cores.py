"""How many cores of its host a rank may use."""

import os
from pathlib import Path

_CGROUP_ROOT = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")


def cores_of_rank(local_size: int) -> int:
    """The cores for one rank, at least 1.

    Slurm binds each rank to its own cores or to none, depending on the cluster, and states how many cores belong to a
    rank. Other launchers give all ranks of a host the same cores, which the ranks share evenly.

    Args:
        local_size: the number of ranks on this host.
    """
    cores = len(os.sched_getaffinity(0))
    limit = _cgroup_limit()
    if "SLURM_STEP_NUM_TASKS" not in os.environ:
        return max(1, int(min(cores, limit)) // local_size)
    if per_rank := os.environ.get("SLURM_CPUS_PER_TASK"):
        share = float(per_rank)
    else:
        share = float(os.environ.get("SLURM_CPUS_ON_NODE", cores)) / local_size
    return max(1, int(min(cores, limit, share)))


def _cgroup_limit() -> float:
    """The processor time that the control groups of this process allow, in cores; infinite without a limit.

    A container's ``--cpus`` and a pod's limit are such limits. The affinity does not show them.
    """
    try:
        lines = _OWN_CGROUPS.read_text().splitlines()
    except OSError:
        return float("inf")
    limits = [float("inf")]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            limits += [_limit_of_v2(folder) for folder in _with_parents(_CGROUP_ROOT, path)]
        elif "cpu" in controllers.split(","):
            limits += [_limit_of_v1(folder) for folder in _with_parents(_CGROUP_ROOT / "cpu", path)]
    return min(limits)


def _with_parents(root: Path, path: str) -> list[Path]:
    """The folder of a control group and of those that contain it."""
    folder = root / path.lstrip("/")
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(root))]


def _limit_of_v2(folder: Path) -> float:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return float("inf") if quota == "max" else float(quota) / float(period)
    except (OSError, ValueError):
        return float("inf")


def _limit_of_v1(folder: Path) -> float:
    try:
        quota = float((folder / "cpu.cfs_quota_us").read_text())
        period = float((folder / "cpu.cfs_period_us").read_text())
        return quota / period if quota > 0 else float("inf")
    except (OSError, ValueError):
        return float("inf")
