"""Looks at this machine with the eyes of a training job: what is there, what is wrong, and what mends it."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from tfdl.distributed.launch import find_launch
from tfdl.errors import UserError

_PYTHONS = ((3, 11), (3, 13))
_LITTLE_ROOM = 2 * 2**30
_SSH_SECONDS = 5


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    level: Literal["ok", "warning", "error"]
    found: str
    mend: str = ""
    """The command or the change that puts it right; empty when nothing is wrong."""


def diagnose(hostfile: str | None = None, data_dir: str | None = None) -> list[Finding]:
    """All findings, in the order in which they build on each other.

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
        return [Finding("launcher", "error", str(error))]
    several = size > 1 or bool(hosts)
    checks: list[Callable[[], Iterator[Finding]]] = [
        _python,
        lambda: _package("tensorflow", "2.21"),
        lambda: _package("keras", "3.15"),
        _backend,
        _devices,
        lambda: _horovod(several),
        lambda: _ranks(size),
        lambda: _data_directory(data_dir),
        lambda: _room(Path.cwd(), "working directory"),
        lambda: _own_name(bool(hosts)),
        lambda: _hosts(hosts),
    ]
    return [finding for check in checks for finding in check()]


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


def _python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if _PYTHONS[0] <= sys.version_info[:2] <= _PYTHONS[1]:
        yield Finding("Python", "ok", f"{version} ({sys.executable})")
    else:
        yield Finding("Python", "error", version, "make the environment with Python 3.11, 3.12 or 3.13")


def _package(name: str, series: str) -> Iterator[Finding]:
    mend = f"pip install '{name}~={series}.0'"
    try:
        version = metadata.version(name)
        __import__(name)
    except Exception as error:  # a broken installation fails in many ways
        first = (str(error).strip().splitlines() or [""])[0]
        yield Finding(name, "error", f"cannot be imported ({type(error).__name__}: {first})", mend)
        return
    fits = version.startswith(f"{series}.")
    yield Finding(name, "ok" if fits else "warning", version, "" if fits else f"tested with {series}: {mend}")


def _backend() -> Iterator[Finding]:
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        yield Finding("Keras backend", "error", backend, "unset KERAS_BACKEND")


def _devices() -> Iterator[Finding]:
    try:
        import tensorflow as tf
    except Exception:  # said above
        return
    cores = len(os.sched_getaffinity(0))
    present, seen = _count_nvidia(), len(tf.config.list_physical_devices("GPU"))
    if present and not seen:
        yield Finding("GPUs", "error", f"{present} here, TensorFlow sees none", "pip install 'tfdl[cuda]'")
    else:
        yield Finding("GPUs", "ok", f"{seen}" if seen else f"none, training uses {cores} CPU cores")


def _count_nvidia() -> int:
    if shutil.which("nvidia-smi") is None or os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return 0
    done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return sum(line.startswith("GPU ") for line in done.stdout.splitlines()) if done.returncode == 0 else 0


def _horovod(needed: bool) -> Iterator[Finding]:
    from tfdl.distributed.horovod import describe

    level: Literal["warning", "error"] = "error" if needed else "warning"
    try:
        version, transports = describe()
    except Exception as error:  # missing, or built against another TensorFlow
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        yield Finding("Horovod", level, f"not usable: {first}", "tfdl install-horovod")
        return
    found = f"{version}, built with {', '.join(transports) or 'no transport'}"
    if _count_nvidia() > 1 and "nccl" not in transports:
        yield Finding("Horovod", "warning", f"{found}: GPUs will talk through the CPU", "tfdl install-horovod --gpu")
    else:
        yield Finding("Horovod", "ok", found)
    launcher = shutil.which("horovodrun")
    own = Path(sys.executable).with_name("horovodrun")
    if launcher is None or not own.exists() or not own.samefile(launcher):
        yield Finding(
            "horovodrun",
            level if launcher is None else "warning",
            f"{launcher or 'not on PATH'}, this environment's is {own}",
            f'export PATH="{own.parent}:$PATH"',
        )


def _ranks(size: int) -> Iterator[Finding]:
    if size == 1:
        return
    import tensorflow as tf

    from tfdl import distributed

    try:
        world = distributed.init()
        total = int(world.all_reduce(tf.constant(world.rank + 1)))
        hosts = world.all_gather_object(socket.gethostname())
    except Exception as error:
        yield Finding("ranks", "error", str(error).strip().splitlines()[0])
        return
    if total != size * (size + 1) // 2:
        yield Finding("ranks", "error", f"the sum over {size} ranks is {total}, expected {size * (size + 1) // 2}")
    else:
        yield Finding("ranks", "ok", f"{size} on {', '.join(dict.fromkeys(hosts))}, an all-reduce over them is right")


def _data_directory(data_dir: str | None) -> Iterator[Finding]:
    from tfdl.data.catalog import data_root

    root = data_root(data_dir)
    place = root
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        yield Finding("data directory", "error", f"{place} is a file", "give a folder: --data-dir DIR")
        return
    if not os.access(place, os.W_OK):
        yield Finding("data directory", "warning", f"{root} cannot be written: only prepared sets can be used")
        return
    sets = (
        sorted(path.name for path in root.iterdir() if path.is_dir() and path.name != "downloads")
        if root.is_dir()
        else []
    )
    yield Finding("data directory", "ok", f"{root}, prepared: {', '.join(sets) or 'nothing yet'}")
    yield from _room(place, "data directory", quiet=True)


def _room(folder: Path, name: str, quiet: bool = False) -> Iterator[Finding]:
    free = shutil.disk_usage(folder).free
    text = f"{folder}, {free / 2**30:.1f} GiB free"
    if not os.access(folder, os.W_OK):
        yield Finding(name, "error", f"{folder} cannot be written", "go to another directory, or give --output")
    elif free < _LITTLE_ROOM:
        yield Finding(name, "warning", text, "make room: checkpoints and data need some")
    elif not quiet:
        yield Finding(name, "ok", text)


def _own_name(across_hosts: bool) -> Iterator[Finding]:
    name = socket.gethostname()
    try:
        address = socket.gethostbyname(name)
    except OSError:
        yield Finding(
            "host name", "error" if across_hosts else "warning", f"{name} does not resolve", _HOSTS_LINE.format(name)
        )
        return
    if address.startswith("127."):
        level: Literal["warning", "error"] = "error" if across_hosts else "warning"
        found = f"{name} resolves to {address}: other hosts cannot reach ranks here (one host alone is fine)"
        yield Finding("host name", level, found, _HOSTS_LINE.format(name))
    else:
        yield Finding("host name", "ok", f"{name} is {address}")


_HOSTS_LINE = "in /etc/hosts give {0} this machine's routable address, in place of 127.0.1.1"


def _hosts(hosts: list[str]) -> Iterator[Finding]:
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
