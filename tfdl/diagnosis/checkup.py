"""All checks of ``tfdl doctor``, in an order in which each depends only on those before it."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfdl.diagnosis.data_directory import check_data_directory, check_free_space
from tfdl.diagnosis.environment import check_environment
from tfdl.diagnosis.finding import Finding
from tfdl.diagnosis.horovod import check_horovod
from tfdl.diagnosis.hosts import are_several_machines, check_other_hosts, check_own_name, read_hostfile
from tfdl.distributed.launch import find_launch
from tfdl.errors import UserError

if TYPE_CHECKING:
    from tfdl.diagnosis.bandwidth import MessageTiming


@dataclass(frozen=True)
class Diagnosis:
    """The results of all checks. When the ranks of a job connected, every rank has the same."""

    findings: list[Finding]
    timings: "list[MessageTiming]" = field(default_factory=list)
    """All-reduces over the ranks, by size; empty on one rank."""
    compute_seconds: list[float] = field(default_factory=list)
    """The time of the same computation on each rank; empty on one rank."""
    met: bool = True
    """Whether this process connected to the other ranks of its job. If not, rank 0 does not have its findings."""

    @property
    def is_fit(self) -> bool:
        """Whether no check found an error."""
        return all(finding.level != "error" for finding in self.findings)

    def to_mapping(self) -> dict[str, Any]:
        """Returns plain lists and dictionaries, for JSON."""
        return {
            "fit": self.is_fit,
            "findings": [dataclasses.asdict(finding) for finding in self.findings],
            "all_reduce": [timing.to_mapping() for timing in self.timings],
            "compute_seconds": self.compute_seconds,
        }


def diagnose(hostfile: str | None = None, data_dir: str | None = None) -> Diagnosis:
    """Runs all checks. Launched as several ranks, it also proves that they can train one model.

    Every rank must call it: the ranks time messages between them and a computation, and train a small model for a few
    steps.

    Args:
        hostfile: file with the hosts of a future job. With it, Horovod and the names of the hosts are required.
        data_dir: folder of the prepared data sets; ``None`` for the default.

    Raises:
        UserError: the hostfile cannot be read.
    """
    hosts = [] if hostfile is None else read_hostfile(Path(hostfile))
    try:
        size = find_launch().size
    except UserError as error:
        return Diagnosis([Finding("launcher", "error", str(error))], met=False)
    software = [*check_environment(), *check_horovod(required=size > 1 or bool(hosts))]
    machine = [
        *check_data_directory(data_dir),
        *check_free_space(Path.cwd(), "working directory"),
        *check_own_name(across_hosts=are_several_machines(hosts)),
        *check_other_hosts(hosts),
    ]
    if size == 1:
        return Diagnosis(software + machine)
    return _diagnose_ranks(software, machine)


def _diagnose_ranks(software: list[Finding], machine: list[Finding]) -> Diagnosis:
    """Adds the checks that need all ranks, and merges the findings of all ranks."""
    ranks: list[Finding] = []
    try:
        from tfdl import distributed
        from tfdl.diagnosis.bandwidth import time_all_reduces
        from tfdl.diagnosis.compute_speed import check_compute_speed, time_products
        from tfdl.diagnosis.ranks import check_ranks, merge_findings
        from tfdl.diagnosis.sync_proof import prove_sync

        world = distributed.init(elastic=False)
        ranks += check_ranks(world)
        timings = time_all_reduces(world)
        seconds = time_products(world)
        ranks += check_compute_speed(seconds, world)
        ranks += prove_sync(world)
        return Diagnosis(merge_findings([*software, *ranks, *machine], world), timings, seconds)
    except Exception as error:
        failure = Finding("ranks", "error", _one_line(error))
        return Diagnosis([*software, *ranks, failure, *machine], met=False)


def _one_line(error: Exception) -> str:
    """The type of an error and the line of its message that names the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return f"{type(error).__name__}: "
    # An error while a graph is traced begins with a traceback of the user's code; the cause is its last line.
    cause = lines[-1] if lines[0].startswith("in user code") else lines[0]
    return f"{type(error).__name__}: {cause}"
