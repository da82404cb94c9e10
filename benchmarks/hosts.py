"""Simulates several hosts on this machine, for tests and benchmarks of jobs between hosts.

Each host has its own namespaces: network, host name, mounts and processes. A virtual Ethernet cable connects its `eth0`
to a switch. It runs an sshd that accepts the other hosts' key, and it resolves their names. All hosts see this
machine's files, as over a network file system, and share its cores evenly. No traffic leaves the namespaces.

A host's first process reads from a pipe of this process, and ends when the pipe is closed. However this process ends,
also when it is killed, the hosts and everything that runs on them end too. Needs root, iproute2, util-linux and
openssh-server.
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

# sshd is in a folder that is not on every user's PATH, and it must be started by its full path.
_SBIN = f"{os.pathsep}/usr/sbin{os.pathsep}/sbin"
_TOOL_PATH = os.environ.get("PATH", os.defpath) + _SBIN
# Program -> the package that has it.
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
# The first process of a host waits for the end of its input. As process 1 of its namespace it is also the parent of
# orphans: it ignores SIGCHLD, so that the kernel removes them when they end.
_STAY = "echo ready; exec env --ignore-signal=CHLD cat"
_BOOT_SWITCH = f"set -e; ip link add switch type bridge; ip link set switch up; {_STAY}"
# Arguments: the host's name, the folder of its files, sshd.
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


def missing_requirements() -> str:
    """Returns in words what this machine does not have and simulated hosts need; empty when nothing is missing."""
    if os.geteuid() != 0:
        return "hosts on one machine need root"
    missing = {package for tool, package in _TOOLS.items() if shutil.which(tool, path=_TOOL_PATH) is None}
    if missing:
        return f"hosts on one machine need {' and '.join(sorted(missing))}"
    links = "ip link add switch type bridge && ip link add cable type veth peer name eth0"
    trial = subprocess.run([*_UNSHARE, "sh", "-c", links], env=_environment(), capture_output=True, text=True)
    if trial.returncode:
        return f"this machine allows no namespaces, bridges or veth pairs: {trial.stderr.strip()}"
    return ""


@contextmanager
def simulated_hosts(*names: str) -> Iterator["Hosts"]:
    """Makes hosts of these names, connected by a switch. They are removed when the block ends."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hosts-")))
        addresses = {name: f"10.77.0.{number}" for number, name in enumerate(names, start=1)}
        _write_files(folder, addresses)
        switch = stack.enter_context(_namespaces(["sh", "-c", _BOOT_SWITCH]))
        sshd = str(shutil.which("sshd", path=_TOOL_PATH))
        hosts = {}
        for index, name in enumerate(names):
            cores = _cores_command(index, len(names))
            boot = [*cores, "sh", "-c", _BOOT_HOST, name, str(folder), sshd]
            first_process = stack.enter_context(_namespaces(boot))
            host = Host(name, addresses[name], first_process, cores, folder / f"hosts-{name}")
            _connect(host, switch)
            hosts[name] = host
        yield Hosts(hosts, switch, folder)


@dataclass(frozen=True)
class Host:
    """A simulated host, seen from outside."""

    name: str
    address: str
    first_process: int
    """Id of the first process in its namespaces."""
    cores: Sequence[str]
    """Command that runs another command on this host's share of the cores."""
    hosts_file: Path
    """Its /etc/hosts."""

    def start(self, *command: str, env: dict[str, str] | None = None, **options: Any) -> "subprocess.Popen[str]":
        """Starts a command on this host, in the working directory of this process.

        Args:
            command: program and arguments.
            env: environment variables besides those of this process.
            options: of ``subprocess.Popen``.
        """
        enter = ["nsenter", "--target", str(self.first_process), "--net", "--uts", "--mount", "--pid", "--"]
        on_host = (*enter, *self.cores, "env", f"--chdir={Path.cwd()}", *command)
        return subprocess.Popen(on_host, env=_environment(env), text=True, **options)

    def run(self, *command: str, **options: Any) -> "subprocess.CompletedProcess[str]":
        """Runs a command on this host to its end, and returns its output. Takes the arguments of ``start``."""
        process = self.start(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
        output, _ = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, output)

    def processes(self) -> list[psutil.Process]:
        """Returns all processes on this host, except its first one and sshd."""
        namespace = os.stat(f"/proc/{self.first_process}/ns/pid").st_ino
        processes = []
        for process in psutil.process_iter(["name"]):
            try:
                is_on_host = os.stat(f"/proc/{process.pid}/ns/pid").st_ino == namespace
            except OSError:  # it has ended
                continue
            if is_on_host and process.pid != self.first_process and not process.info["name"].startswith("sshd"):
                processes.append(process)
        return processes


class Hosts:
    """The hosts by name, and the switch between them.

    Attributes:
        environment: variables with an ``ssh`` on PATH that reaches the hosts.
    """

    def __init__(self, hosts: dict[str, Host], switch: int, folder: Path):
        self._hosts = hosts
        self._switch = switch
        self.environment = {"PATH": f"{folder}/bin{os.pathsep}{os.environ['PATH']}"}

    def __getitem__(self, name: str) -> Host:
        return self._hosts[name]

    def __iter__(self) -> Iterator[Host]:
        return iter(self._hosts.values())

    def disconnect(self, name: str) -> None:
        """Pulls a host's cable out of the switch."""
        _run_in_network(self._switch, "ip", "link", "set", name, "down")

    def reconnect(self, name: str) -> None:
        """Plugs a host's cable in again."""
        _run_in_network(self._switch, "ip", "link", "set", name, "up")

    def slow_down(self, rate: str) -> None:
        """Limits what each host sends to a rate in units of tc, such as ``100mbit``."""
        for host in self:
            limit = ("tbf", "rate", rate, "burst", "64kb", "latency", "50ms")
            _run_in_network(host.first_process, "tc", "qdisc", "replace", "dev", "eth0", "root", *limit)


def _connect(host: Host, switch: int) -> None:
    """Connects a host's eth0 to the switch, whose end of the cable has the host's name."""
    cable = ("ip", "link", "add", host.name, "type", "veth", "peer", "name", "eth0", "netns", str(host.first_process))
    _run_in_network(switch, *cable)
    _run_in_network(switch, "ip", "link", "set", host.name, "master", "switch", "up")
    _run_in_network(host.first_process, "ip", "address", "add", f"{host.address}/24", "dev", "eth0")
    _run_in_network(host.first_process, "ip", "link", "set", "eth0", "up")


def _write_files(folder: Path, addresses: dict[str, str]) -> None:
    """Writes keys and configuration of ssh, each host's /etc/hosts, and an ``ssh`` that uses the configuration."""
    for key in ("key", "host_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    host_key = (folder / "host_key.pub").read_text()
    (folder / "known_hosts").write_text("".join(f"{name} {host_key}" for name in addresses))
    (folder / "sshd_config").write_text(_SSHD_CONFIG.format(folder=folder))
    (folder / "ssh_config").write_text(_SSH_CONFIG.format(folder=folder))
    lines = ["127.0.0.1 localhost\n"]
    lines += [f"{address} {name}\n" for name, address in addresses.items()]
    for name in addresses:
        (folder / f"hosts-{name}").write_text("".join(lines))
    ssh = folder / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/ssh_config "$@"\n')
    ssh.chmod(0o755)


@contextmanager
def _namespaces(boot: Sequence[str]) -> Iterator[int]:
    """Makes new namespaces until the block ends; yields the id of their first process, which runs ``boot``."""
    streams: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    # In a new session: Ctrl-C must not end it before the commands that run in it.
    with subprocess.Popen([*_UNSHARE, *boot], env=_environment(), start_new_session=True, **streams) as process:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError(f"`{' '.join(_UNSHARE)}` made no namespaces: exit code {process.wait()}")
        (first_process,) = psutil.Process(process.pid).children()
        yield first_process.pid
        # Popen closes the pipe at the end of this block. The first process ends, and with it all of its namespace.


def _cores_command(index: int, num_hosts: int) -> list[str]:
    """The command that runs another on one host's share of the cores, or on all cores when there are too few."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) >= num_hosts:
        cores = cores[index::num_hosts]
    return ["taskset", "--cpu-list", ",".join(map(str, cores))]


def _run_in_network(process: int, *command: str) -> None:
    subprocess.run(["nsenter", "--target", str(process), "--net", "--", *command], env=_environment(), check=True)


def _environment(variables: dict[str, str] | None = None) -> dict[str, str]:
    environment = {**os.environ, **(variables or {})}
    environment["PATH"] = environment.get("PATH", os.defpath) + _SBIN
    return environment
