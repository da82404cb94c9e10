"""Installs a Horovod built against this environment's TensorFlow, and proves that it works."""

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from tfdl.errors import RunError, UserError
from tfdl.horovod_build.allreduce_proof import Proof, prove
from tfdl.horovod_build.build_environment import BuildEnvironment, find_build_environment
from tfdl.horovod_build.cuda_toolkit import count_gpus
from tfdl.horovod_build.installed_package import horovodrun_path, install_wheel, installed_version
from tfdl.horovod_build.wheel_build import build_wheel, cached_wheel


@dataclass(frozen=True)
class InstalledHorovod:
    """The result of ``install_horovod``.

    Attributes:
        version: version of the package, like ``0.28.1+tf2.21.0.cpu.k0123456789ab``.
        source: ``built``, ``cache`` (the wheel of an earlier build) or ``environment`` (it was already installed).
        wheel: path of the wheel; ``None`` when it was already installed.
        proofs: transport (``gloo``, ``mpi``) -> the result of its two ranks.
        seconds: time of the whole installation.
    """

    version: str
    source: str
    wheel: Path | None
    proofs: dict[str, Proof]
    seconds: float


def install_horovod(
    gpu: bool | None = None,
    mpi: bool = False,
    force: bool = False,
    report: Callable[[str], None] = lambda _: None,
) -> InstalledHorovod:
    """Builds Horovod, installs it into this environment, and runs two ranks with it.

    The wheel of an earlier build for the same TensorFlow, compiler and so on is used again.

    Args:
        gpu: build for GPUs (CUDA and NCCL); ``None`` builds for GPUs when this machine has one.
        mpi: build for MPI as well as Gloo.
        force: build again even when a matching Horovod is installed or cached.
        report: receives a line at each step.

    Raises:
        UserError: something that the build needs is missing. The message is one line with what to install.
        RunError: the build, the installation or the proof failed. The message names the log.
    """
    start = time.monotonic()
    environment = dict(os.environ)
    cache = _cache_folder()
    build = find_build_environment(gpu, mpi, environment, report)
    folder = cache / build.key
    folder.mkdir(exist_ok=True)
    # One lock for this Python environment, and within it one for this build in the cache.
    prefix_digest = hashlib.sha256(sys.prefix.encode()).hexdigest()[:12]
    with _lock(cache / f"environment-{prefix_digest}.lock", report):
        if not force and installed_version() == build.version:
            report(f"Horovod {build.version} is already installed; proving it")
            try:
                proofs = _prove(build, folder, environment, report)
                return InstalledHorovod(build.version, "environment", None, proofs, time.monotonic() - start)
            except RunError as error:
                report(f"it does not work: {error}; installing it again")
        with _lock(cache / f"{build.key}.lock", report):
            wheel = None if force else cached_wheel(folder, build.version)
            if wheel is None:
                source = "built"
                wheel = build_wheel(build, folder, environment, report)
            else:
                source = "cache"
                report(f"using the wheel of an earlier build: {wheel}")
            install_wheel(wheel, build.version, folder / "install.log", environment, report)
        proofs = _prove(build, folder, environment, report)
    return InstalledHorovod(build.version, source, wheel, proofs, time.monotonic() - start)


def _cache_folder() -> Path:
    """``horovod`` in ``TFDL_CACHE_DIR``, or in the user's cache; made when it is missing."""
    root = Path(os.environ.get("TFDL_CACHE_DIR") or user_cache_path("tfdl")).expanduser().absolute()
    folder = root / "horovod"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot write to the cache {root} ({error.strerror}): set TFDL_CACHE_DIR to a writable folder"
        ) from error
    return folder


@contextmanager
def _lock(path: Path, report: Callable[[str], None]) -> Iterator[None]:
    """Holds a file lock, and reports when it has to wait for another process."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report("waiting for another install-horovod to finish")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _prove(
    build: BuildEnvironment, folder: Path, environment: Mapping[str, str], report: Callable[[str], None]
) -> dict[str, Proof]:
    """Runs two ranks over each transport. NCCL needs one GPU for each rank: with fewer the ranks use the CPU."""
    variables = dict(environment)
    gpus = _count_usable_gpus(environment) if build.cuda else 0
    if gpus < 2:
        variables["CUDA_VISIBLE_DEVICES"] = "-1"
        if build.cuda:
            report(f"two ranks need 2 GPUs, found {gpus}: the proof runs on the CPU, and NCCL is not tested")
    log = folder / "proof.log"
    log.write_bytes(b"")
    proofs: dict[str, Proof] = {}
    for transport in ("gloo", "mpi") if build.mpi else ("gloo",):
        proof = prove([horovodrun_path(), f"--{transport}"], log, variables)
        report(f"proved over {transport}: two ranks summed a tensor on the {proof.device} ({proof.seconds:.0f} s)")
        proofs[transport] = proof
    return proofs


def _count_usable_gpus(environment: Mapping[str, str]) -> int:
    """GPUs of this machine that ``CUDA_VISIBLE_DEVICES`` does not hide."""
    gpus = count_gpus(environment)
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return gpus
    names = [name for name in visible.split(",") if name.strip() not in ("", "-1")]
    return min(gpus, len(names))
