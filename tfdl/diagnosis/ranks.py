"""Checks of a job: whether its ranks connect, on which hosts they run, and which transport they use."""

import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import tensorflow as tf

from tfdl.diagnosis.finding import Finding
from tfdl.distributed import World
from tfdl.distributed.horovod import transport_in_use


def check_ranks(world: World) -> Iterator[Finding]:
    """Sums the numbers of the ranks, and gathers the name of each rank's host."""
    total = int(world.all_reduce(tf.constant(world.rank + 1)))
    expected = world.size * (world.size + 1) // 2
    ranks_by_host = Counter(world.all_gather_object(socket.gethostname()))
    if total != expected:
        yield Finding("ranks", "error", f"the sum over {world.size} ranks is {total}, expected {expected}")
        return
    hosts = ", ".join(f"{count} on {host}" for host, count in ranks_by_host.items())
    yield Finding("ranks", "ok", f"{world.size}: {hosts}")
    yield Finding("transport", "ok", transport_in_use())


def merge_findings(findings: list[Finding], world: World) -> list[Finding]:
    """Merges the findings of all ranks: those of rank 0, and what is wrong only on other ranks.

    Every rank must call it.

    Args:
        findings: this rank's findings.
        world: the ranks.

    Returns:
        The same list on every rank.
    """
    by_rank = world.all_gather_object(findings)
    merged = list(by_rank[0])
    for rank in range(1, world.size):
        for finding in by_rank[rank]:
            if finding.level != "ok" and finding not in by_rank[0]:
                merged.append(replace(finding, subject=f"rank {rank}: {finding.subject}"))
    return merged
