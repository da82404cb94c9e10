"""All that ``tfdl doctor`` looks at, in the order in which one thing builds on another."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfdl.diagnosis.data_directory import data_directory, room
from tfdl.diagnosis.environment import environment
from tfdl.diagnosis.finding import Finding
from tfdl.diagnosis.horovod import horovod
from tfdl.diagnosis.hosts import other_hosts, own_name, read_hostfile
from tfdl.distributed.launch import find_launch
from tfdl.errors import UserError

if TYPE_CHECKING:
    from tfdl.diagnosis.bandwidth import MessageTiming


@dataclass(frozen=True)
class Diagnosis:
    """What was found; on several ranks that met, the same on each of them."""

    findings: list[Finding]
    timings: "list[MessageTiming]" = field(default_factory=list)
    """All-reduces over the ranks, by size; none on one rank."""
    met: bool = True
    """Whether this process met the other ranks of its job. One that did not has to tell of it by itself."""

    @property
    def is_fit(self) -> bool:
        """Whether nothing stands against training."""
        return all(finding.level != "error" for finding in self.findings)

    def to_mapping(self) -> dict[str, Any]:
        """Plain lists and dictionaries, for JSON."""
        return {
            "fit": self.is_fit,
            "findings": [dataclasses.asdict(finding) for finding in self.findings],
            "all_reduce": [timing.to_mapping() for timing in self.timings],
        }


def diagnose(hostfile: str | None = None, data_dir: str | None = None) -> Diagnosis:
    """Looks at everything. Launched as several ranks, it also proves that they can train one model.

    Every rank must call it: the ranks time messages between them and train a small model for a few steps.

    Args:
        hostfile: hosts of a job to come; Horovod and names between hosts then count as needed.
        data_dir: the folder of prepared data sets; none takes the usual one.

    Raises:
        UserError: the hostfile cannot be read.
    """
    hosts = [] if hostfile is None else read_hostfile(Path(hostfile))
    try:
        size = find_launch().size
    except UserError as error:
        return Diagnosis([Finding("launcher", "error", str(error))], met=False)
    mine = [*environment(), *horovod(needed=size > 1 or bool(hosts))]
    places = [*data_directory(data_dir), *room(Path.cwd(), "working directory")]
    places += [*own_name(across_hosts=bool(hosts)), *other_hosts(hosts)]
    if size == 1:
        return Diagnosis(mine + places)
    return _with_ranks(mine, places)


def _with_ranks(mine: list[Finding], places: list[Finding]) -> Diagnosis:
    try:
        from tfdl import distributed
        from tfdl.diagnosis.bandwidth import time_all_reduces
        from tfdl.diagnosis.ranks import ranks, those_of_others
        from tfdl.diagnosis.sync_proof import prove_sync

        world = distributed.init()
        mine += ranks(world)
        timings = time_all_reduces(world)
        mine += prove_sync(world)
        return Diagnosis(those_of_others(mine + places, world), timings)
    except Exception as error:
        return Diagnosis([*mine, Finding("ranks", "error", _line_of(error)), *places], met=False)


def _line_of(error: Exception) -> str:
    """What went wrong in one line: the first, or in an error out of a graph the last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    return f"{type(error).__name__}: {lines[-1 if lines[0].startswith('in user code') else 0]}"
