"""The ranks' hosts and processes."""

import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Member:
    """The process of one rank. Picklable, so that ranks can send it to each other."""

    rank: int
    host: str
    address: str
    port: int
    """Where the rank's watchdog listens."""
    pid: int
    process_key: str
    """Identifies the process beyond its pid, which may be reused: host, boot, pid namespace and start time."""


def own_process_key(pid: int) -> str:
    """Returns the key of a process of this host, or an empty string if there is no such process."""
    try:
        # Field 22 of /proc/PID/stat is the start time. The command name before it may contain spaces, so fields are
        # counted from its closing parenthesis.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        start_time = fields[19]
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        pid_namespace = os.readlink("/proc/self/ns/pid")
    except (OSError, IndexError):
        return ""
    return f"{socket.gethostname()} {boot_id} {pid_namespace} {start_time}"


def own_member(rank: int, address: str, port: int) -> Member:
    """Returns this process as a member.

    Args:
        rank: this process's rank.
        address: the address under which other ranks reach it.
        port: the port on which its watchdog listens.
    """
    pid = os.getpid()
    return Member(rank, socket.gethostname(), address, port, pid, own_process_key(pid))


def kill_if_here(member: Member) -> None:
    """Kills another rank of this host, which may be unable to end itself: stopped, or blocked outside of Python.

    The launcher would do it, too, but it waits long for a process that does not react to SIGTERM.
    """
    if member.pid == os.getpid() or not member.process_key:
        return
    if member.process_key != own_process_key(member.pid):
        return  # a process of another host, or another process that has the pid now
    try:
        os.kill(member.pid, signal.SIGKILL)
    except OSError:
        return  # the process has already ended
