"""Host names and what stands between hosts."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tfdl.diagnosis.finding import Finding, Level
from tfdl.errors import UserError

_SSH_SECONDS = 5
_HOSTS_LINE = "in /etc/hosts give {0} this machine's routable address, in place of 127.0.1.1"


def read_hostfile(path: Path) -> list[str]:
    """Host names of a Horovod hostfile: ``name slots=N`` or ``name:N`` lines, comments after ``#``."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text"
        raise UserError(f"cannot read hostfile {str(path)!r} ({reason}); expected `name slots=N` lines") from error
    names = [line.split("#")[0].split() for line in lines]
    hosts = [words[0].split(":")[0] for words in names if words]
    if not hosts:
        raise UserError(f"hostfile {str(path)!r} names no host, expected `name slots=N` lines")
    return hosts


def own_name(across_hosts: bool) -> Iterator[Finding]:
    """Whether this machine's name leads to an address that other hosts can reach."""
    name = socket.gethostname()
    try:
        address = socket.gethostbyname(name)
    except OSError:
        yield Finding(
            "host name", "error" if across_hosts else "warning", f"{name} does not resolve", _HOSTS_LINE.format(name)
        )
        return
    if address.startswith("127."):
        level: Level = "error" if across_hosts else "warning"
        found = f"{name} resolves to {address}: other hosts cannot reach ranks here (one host alone is fine)"
        yield Finding("host name", level, found, _HOSTS_LINE.format(name))
    else:
        yield Finding("host name", "ok", f"{name} is {address}")


def other_hosts(hosts: list[str]) -> Iterator[Finding]:
    """Each host by name, then by ssh without a password, as horovodrun needs it."""
    for host in hosts:
        try:
            address = socket.gethostbyname(host)
        except OSError:
            yield Finding(host, "error", "does not resolve", f"add {host} to /etc/hosts or to the name server")
            continue
        if host in (socket.gethostname(), "localhost"):
            yield Finding(host, "ok", f"{address}, this machine")
            continue
        yield _over_ssh(host, address)


def _over_ssh(host: str, address: str) -> Finding:
    if shutil.which("ssh") is None:
        return Finding(host, "error", "there is no ssh here", "install an OpenSSH client")
    options = ["-o", "BatchMode=yes", "-o", f"ConnectTimeout={_SSH_SECONDS}"]
    try:
        done = subprocess.run(
            ["ssh", *options, host, "true"], capture_output=True, text=True, timeout=2 * _SSH_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return Finding(host, "error", f"{address}, ssh does not answer", f"ssh {host} true")
    if done.returncode == 0:
        return Finding(host, "ok", f"{address}, ssh without a password works")
    said = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return Finding(host, "error", f"{address}, ssh fails: {said}", f"ssh-copy-id {host}")
