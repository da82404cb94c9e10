"""Whether the ranks of a job find each other, where they are, and what they talk over."""

import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import tensorflow as tf

from tfdl.diagnosis.finding import Finding
from tfdl.distributed import World
from tfdl.distributed.horovod import transport_in_use


def ranks(world: World) -> Iterator[Finding]:
    """Adds up the ranks' numbers, and asks each where it is."""
    total, expected = int(world.all_reduce(tf.constant(world.rank + 1))), world.size * (world.size + 1) // 2
    hosts = Counter(world.all_gather_object(socket.gethostname()))
    if total != expected:
        yield Finding("ranks", "error", f"the sum over {world.size} ranks is {total}, expected {expected}")
        return
    yield Finding("ranks", "ok", f"{world.size}: {', '.join(f'{count} on {host}' for host, count in hosts.items())}")
    yield Finding("transport", "ok", transport_in_use())


def those_of_others(findings: list[Finding], world: World) -> list[Finding]:
    """This rank's findings as rank 0 has them, and what is wrong on other ranks alone; the same list on every rank."""
    first, *others = world.all_gather_object(findings)
    found = list(first)
    for rank, theirs in enumerate(others, start=1):
        alone = [finding for finding in theirs if finding.level != "ok" and finding not in first]
        found += [replace(finding, subject=f"rank {rank}: {finding.subject}") for finding in alone]
    return found
