"""Who the ranks are: their hosts and processes."""

import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Member:
    """One rank's process; picklable, so that ranks can tell each other."""

    rank: int
    host: str
    address: str
    port: int
    """Where its watchdog listens."""
    pid: int
    process_key: str
    """What makes the pid unmistakable: host, boot, process namespace and time of birth."""


def own_process_key(pid: int) -> str:
    """The key of a process of this host; empty when there is none."""
    try:
        born = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()} {boot} {os.readlink('/proc/self/ns/pid')} {born}"
    except (OSError, IndexError):
        return ""


def own_member(rank: int, address: str, port: int) -> Member:
    """This process, as the others are to know it."""
    return Member(rank, socket.gethostname(), address, port, os.getpid(), own_process_key(os.getpid()))


def kill_if_here(member: Member) -> None:
    """Ends a rank of this host that cannot end itself: stopped, or stuck below Python.

    The launcher would do it too, but waits long for a process that does not answer.
    """
    if member.pid != os.getpid() and member.process_key and member.process_key == own_process_key(member.pid):
        try:
            os.kill(member.pid, signal.SIGKILL)
        except OSError:
            return  # it is gone already
