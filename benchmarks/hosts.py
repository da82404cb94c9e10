"""Several hosts on this machine, for tests and benchmarks of jobs between hosts.

Each host has namespaces of its own: network, host name, mounts and processes. An Ethernet cable leads from its `eth0`
to a switch, it has an sshd that knows the others' key, and it resolves their names. All hosts see this machine's
files, as over a network file system, and share its cores evenly. No traffic leaves the namespaces.

A host is there for as long as its first process can read from a pipe of this process: however this one ends, killed or
not, nothing is left of the hosts and of what runs on them. Needs root, iproute2, util-linux and openssh-server.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

# The ssh daemon's folder is not on everybody's PATH; the daemon wants to be called by its whole path.
_SBIN = f"{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin{os.pathsep}/sbin"
_TOOLS = {
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "taskset": "util-linux",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}
_UNSHARE = ("unshare", "--net", "--uts", "--mount", "--pid", "--fork", "--mount-proc")
# The first process of a host, which also has to bury those that lost their parent.
_STAY = "echo ready; exec env --ignore-signal=CHLD cat"
_BOOT_SWITCH = f"set -e; ip link add switch type bridge; ip link set switch up; {_STAY}"
_BOOT_HOST = f"""set -e
hostname "$0"
ip link set lo up
mount --bind "$1/hosts-$0" /etc/hosts
mount -t tmpfs tmpfs /run
mkdir /run/sshd
"$2" -f "$1/sshd_config" -E "$1/sshd-$0.log"
{_STAY}
"""
_SSHD_CONFIG = """HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PermitRootLogin prohibit-password
PasswordAuthentication no
StrictModes no
UsePAM no
PidFile none
"""
_SSH_CONFIG = """IdentityFile {folder}/key
IdentitiesOnly yes
UserKnownHostsFile {folder}/known_hosts
BatchMode yes
LogLevel ERROR
"""


def why_not() -> str:
    """What this machine lacks for hosts, in words; empty when they can be made."""
    if os.geteuid() != 0:
        return "hosts on one machine need root"
    missing = {package for tool, package in _TOOLS.items() if shutil.which(tool, path=_SBIN) is None}
    if missing:
        return f"hosts on one machine need {' and '.join(sorted(missing))}"
    links = "ip link add switch type bridge && ip link add cable type veth peer name eth0"
    tried = subprocess.run([*_UNSHARE, "sh", "-c", links], env=_environment(), capture_output=True, text=True)
    if tried.returncode:
        return f"this machine allows no namespaces, bridges or veth pairs: {tried.stderr.strip()}"
    return ""


@contextmanager
def made_hosts(*names: str) -> Iterator["Hosts"]:
    """Hosts of these names, joined by a switch; when the block ends, however it does, they are gone."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hosts-")))
        addresses = {name: f"10.77.0.{number}" for number, name in enumerate(names, start=1)}
        _write_files(folder, addresses)
        switch = stack.enter_context(_machine(["sh", "-c", _BOOT_SWITCH]))
        made = {}
        sshd = shutil.which("sshd", path=_SBIN)
        for place, name in enumerate(names):
            cores = _cores(place, len(names))
            boot = [*cores, "sh", "-c", _BOOT_HOST, name, str(folder), str(sshd)]
            first = stack.enter_context(_machine(boot))
            made[name] = Host(name, addresses[name], first, cores, folder / f"hosts-{name}")
            cable = ("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(first))
            _in_network(switch, *cable)
            _in_network(switch, "ip", "link", "set", name, "master", "switch", "up")
            _in_network(first, "ip", "address", "add", f"{addresses[name]}/24", "dev", "eth0")
            _in_network(first, "ip", "link", "set", "eth0", "up")
        yield Hosts(made, switch, folder)


@dataclass(frozen=True)
class Host:
    """One of them, as seen from outside."""

    name: str
    address: str
    first_process: int
    cores: Sequence[str]
    """The command that keeps others on this host's cores."""
    hosts_file: Path
    """Its /etc/hosts."""

    def start(self, *command: str, env: dict[str, str] | None = None, **options: Any) -> "subprocess.Popen[str]":
        """Starts a command there, in this process's working directory."""
        enter = [
            "nsenter",
            "--target",
            str(self.first_process),
            "--net",
            "--uts",
            "--mount",
            "--pid",
            "--",
            *self.cores,
        ]
        command = (*enter, "env", f"--chdir={Path.cwd()}", *command)
        return subprocess.Popen(command, env=_environment(env), text=True, **options)

    def run(self, *command: str, **options: Any) -> "subprocess.CompletedProcess[str]":
        """Runs a command there to its end; what it prints comes back."""
        process = self.start(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
        output, _ = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, output)

    def processes(self) -> list[psutil.Process]:
        """All that runs there, but for the host's own: its first process and its sshd."""
        home, found = os.stat(f"/proc/{self.first_process}/ns/pid").st_ino, []
        for process in psutil.process_iter(["name"]):
            try:
                is_there = os.stat(f"/proc/{process.pid}/ns/pid").st_ino == home
            except OSError:  # it has ended
                continue
            if is_there and process.pid != self.first_process and not process.info["name"].startswith("sshd"):
                found.append(process)
        return found


class Hosts:
    """The hosts by name, and the switch between them; ``environment`` has an ssh that reaches them."""

    def __init__(self, hosts: dict[str, Host], switch: int, folder: Path):
        self._hosts, self._switch = hosts, switch
        self.environment = {"PATH": f"{folder}/bin{os.pathsep}{os.environ['PATH']}"}

    def __getitem__(self, name: str) -> Host:
        return self._hosts[name]

    def __iter__(self) -> Iterator[Host]:
        return iter(self._hosts.values())

    def cut(self, name: str) -> None:
        """Pulls a host's cable out of the switch."""
        _in_network(self._switch, "ip", "link", "set", name, "down")

    def mend(self, name: str) -> None:
        """Plugs it in again."""
        _in_network(self._switch, "ip", "link", "set", name, "up")

    def slow_down(self, rate: str) -> None:
        """Lets each host send no more than a rate in the words of tc, such as ``100mbit``."""
        for host in self:
            limit = ("tbf", "rate", rate, "burst", "64kb", "latency", "50ms")
            _in_network(host.first_process, "tc", "qdisc", "replace", "dev", "eth0", "root", *limit)


def _write_files(folder: Path, addresses: dict[str, str]) -> None:
    for key in ("key", "host_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    host_key = (folder / "host_key.pub").read_text()
    (folder / "known_hosts").write_text("".join(f"{name} {host_key}" for name in addresses))
    (folder / "sshd_config").write_text(_SSHD_CONFIG.format(folder=folder))
    (folder / "ssh_config").write_text(_SSH_CONFIG.format(folder=folder))
    lines = ["127.0.0.1 localhost\n", *(f"{address} {name}\n" for name, address in addresses.items())]
    for name in addresses:
        (folder / f"hosts-{name}").write_text("".join(lines))
    ssh = folder / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/ssh_config "$@"\n')
    ssh.chmod(0o755)


@contextmanager
def _machine(boot: Sequence[str]) -> Iterator[int]:
    """Namespaces of their own, until the block ends; gives their first process's id."""
    streams: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    # In a session of its own, so that Ctrl-C does not end it before what runs there.
    with subprocess.Popen([*_UNSHARE, *boot], env=_environment(), start_new_session=True, **streams) as process:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError(f"no namespaces by `{' '.join(_UNSHARE)}`: {process.wait()}")
        (first,) = psutil.Process(process.pid).children()
        yield first.pid
        # Here its pipe is closed: it ends, and with it all that runs there.


def _cores(place: int, of: int) -> list[str]:
    """The command that keeps another on one host's share of the cores; all of them where there are too few."""
    cores = sorted(os.sched_getaffinity(0))
    share = cores[place::of] if len(cores) >= of else cores
    return ["taskset", "--cpu-list", ",".join(map(str, share))]


def _in_network(process: int, *command: str) -> None:
    subprocess.run(["nsenter", "--target", str(process), "--net", "--", *command], env=_environment(), check=True)


def _environment(changes: dict[str, str] | None = None) -> dict[str, str]:
    environment = {**os.environ, **(changes or {})}
    return {**environment, "PATH": f"{environment.get('PATH', os.defpath)}{os.pathsep}/usr/sbin{os.pathsep}/sbin"}
