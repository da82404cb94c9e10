"""Checks of host names and of ssh between hosts."""

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tfdl.diagnosis.finding import Finding, Level
from tfdl.errors import UserError

_SSH_SECONDS = 5
_HOST_LINE = re.compile(r"[\w.-]+\s+slots=[1-9]\d*")


def read_hostfile(path: Path) -> list[str]:
    """Reads the host names of a Horovod hostfile: ``name slots=N`` lines, with comments after ``#``.

    Raises:
        UserError: the file cannot be read, has another line, or names no host.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise UserError(f"cannot read hostfile {str(path)!r} ({reason}); expected `name slots=N` lines") from error
    hosts = []
    for number, line in enumerate(lines, 1):
        entry = line.split("#")[0].strip()
        if not entry:
            continue
        if not _HOST_LINE.fullmatch(entry):
            raise UserError(
                f"hostfile {str(path)!r}, line {number}: {entry!r}, expected a name and its ranks, such as"
                " `gpu-1 slots=4`"
            )
        hosts.append(entry.split()[0])
    if not hosts:
        raise UserError(f"hostfile {str(path)!r} names no host, expected `name slots=N` lines")
    return hosts


def are_several_machines(hosts: list[str]) -> bool:
    """Whether a job on these hosts has ranks on another machine than this one."""
    return any(not _is_this_machine(host) for host in hosts)


def check_own_name(across_hosts: bool) -> Iterator[Finding]:
    """Checks that this machine's name resolves to an address that other hosts can reach.

    Args:
        across_hosts: whether the job has ranks on other machines; a name that others cannot reach is then an error.
    """
    name = socket.gethostname()
    level: Level = "error" if across_hosts else "warning"
    try:
        address = socket.gethostbyname(name)
    except OSError:
        yield Finding(
            "host name",
            level,
            f"{name} does not resolve",
            f"add this machine's routable address and {name} to /etc/hosts",
        )
        return
    if address.startswith("127."):
        problem = f"{name} resolves to {address}: other hosts cannot reach ranks here (one host alone is fine)"
        fix = f"in /etc/hosts give {name} this machine's routable address, in place of {address}"
        yield Finding("host name", level, problem, fix)
    else:
        yield Finding("host name", "ok", f"{name} is {address}")


def check_other_hosts(hosts: list[str]) -> Iterator[Finding]:
    """Checks each host's name, then ssh without a password, which horovodrun needs."""
    for host in hosts:
        try:
            address = socket.gethostbyname(host)
        except OSError:
            yield Finding(host, "error", "does not resolve", f"add {host} to /etc/hosts or to the name server")
            continue
        if _is_this_machine(host):
            yield Finding(host, "ok", f"{address}, this machine")
            continue
        yield _check_ssh(host, address)


def _is_this_machine(host: str) -> bool:
    return host in (socket.gethostname(), "localhost")


def _check_ssh(host: str, address: str) -> Finding:
    if shutil.which("ssh") is None:
        return Finding(host, "error", "no ssh on PATH", "install an OpenSSH client")
    options = ["-o", "BatchMode=yes", "-o", f"ConnectTimeout={_SSH_SECONDS}"]
    command = ["ssh", *options, host, "true"]
    try:
        completed = subprocess.run(command, capture_output=True, text=True, timeout=2 * _SSH_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Finding(host, "error", f"{address}, ssh does not answer", f"ssh {host} true")
    if completed.returncode == 0:
        return Finding(host, "ok", f"{address}, ssh without a password works")
    lines = completed.stderr.strip().splitlines()
    last_line = lines[-1] if lines else "no message"
    return Finding(host, "error", f"{address}, ssh fails: {last_line}", f"ssh-copy-id {host}")
