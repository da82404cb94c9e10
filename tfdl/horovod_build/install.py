"""Installs Horovod, built against this environment's TensorFlow, and proves that it works: ``tfdl install-horovod``."""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import invalidate_caches, metadata
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from tfdl.errors import RunError, UserError
from tfdl.horovod_build.allreduce_proof import Proof, prove
from tfdl.horovod_build.build_environment import BuildEnvironment, find_build_environment
from tfdl.horovod_build.cuda_toolkit import count_gpus
from tfdl.horovod_build.logged_command import first_error, run_logged
from tfdl.horovod_build.wheel_build import build_wheel, cached_wheel

_INSTALL_SECONDS = 1800


@dataclass(frozen=True)
class InstalledHorovod:
    """What ``install_horovod`` left behind.

    Attributes:
        version: of the package, like ``0.28.1+tf2.21.0.cpu.k0123456789ab``.
        source: ``built``, ``cache`` (an earlier build's wheel) or ``environment`` (nothing was to be done).
        wheel: where the built wheel is kept; None when nothing was to be done.
        proofs: transport (``gloo``, ``mpi``) -> what its two ranks saw.
        seconds: the whole took.
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
    """Builds Horovod against this environment's TensorFlow, or takes an earlier build's wheel, installs and proves it.

    Args:
        gpu: build for GPUs (CUDA and NCCL); None means when this machine has one.
        mpi: build for MPI as well as Gloo.
        force: build again even when a fitting Horovod is installed or cached.
        report: receives a line at each step.

    Raises:
        UserError: something that the build needs is missing; one line says what to install.
        RunError: the build, the installation or the proof failed; names the log.
    """
    start = time.monotonic()
    environment = dict(os.environ)
    cache = _cache_folder()
    build = find_build_environment(gpu, mpi, environment, report)
    folder = cache / build.key
    folder.mkdir(exist_ok=True)
    here = hashlib.sha256(sys.prefix.encode()).hexdigest()[:12]
    with _lock(cache / f"environment-{here}.lock", report):
        if not force and _installed_version() == build.version:
            report(f"Horovod {build.version} is already installed here; proving it")
            try:
                proofs = _prove(build, folder, environment, report)
                return InstalledHorovod(build.version, "environment", None, proofs, time.monotonic() - start)
            except RunError as error:
                report(f"it does not work: {error}; installing it again")
        with _lock(cache / f"{build.key}.lock", report):
            wheel = None if force else cached_wheel(folder, build.version)
            source = "cache" if wheel else "built"
            if wheel is None:
                wheel = build_wheel(build, folder, environment, report)
            else:
                report(f"taking the wheel of an earlier build: {wheel}")
            _install(wheel, build.version, folder / "install.log", environment, report)
        proofs = _prove(build, folder, environment, report)
    return InstalledHorovod(build.version, source, wheel, proofs, time.monotonic() - start)


def _cache_folder() -> Path:
    """``horovod`` in ``TFDL_CACHE_DIR``, or in the user's cache; made when it is missing."""
    root = Path(os.environ.get("TFDL_CACHE_DIR") or user_cache_path("tfdl")).expanduser().absolute()
    try:
        (root / "horovod").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the cache {root} cannot be written ({error.strerror}): set TFDL_CACHE_DIR to a folder that can"
        ) from error
    return root / "horovod"


@contextmanager
def _lock(path: Path, report: Callable[[str], None]) -> Iterator[None]:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report("another install-horovod is at work; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _installed() -> metadata.Distribution | None:
    invalidate_caches()  # pip, a child process, may have changed the folders that this process remembers
    try:
        return metadata.distribution("horovod")
    except metadata.PackageNotFoundError:
        return None


def _installed_version() -> str | None:
    distribution = _installed()
    return distribution.version if distribution else None


def _install(
    wheel: Path, version: str, log: Path, environment: Mapping[str, str], report: Callable[[str], None]
) -> None:
    """Brings the wheel and those of its runtime dependencies that are missing into this environment."""
    present = _installed()
    if present is not None:
        report(f"replacing Horovod {present.version} (built for TensorFlow {_built_for(present)})")
    log.write_bytes(b"")
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    commands = [[*pip, str(wheel)]]
    if present is not None and present.version == version:  # pip would call it satisfied; its dependencies are there
        commands.append([*pip, "--force-reinstall", "--no-deps", str(wheel)])
    for command in commands:
        if run_logged(command, log, environment, wheel.parent, _INSTALL_SECONDS) != 0:
            raise RunError(f"pip could not install {wheel.name}: {first_error(log)}; the log is {log}")
    found = _installed_version()
    if found != version:
        raise RunError(
            f"pip installed {wheel.name} and {sys.executable} sees Horovod {found or 'nowhere'}:"
            f" remove the other one (pip uninstall horovod) and run this again; the log is {log}"
        )


def _built_for(distribution: metadata.Distribution) -> str:
    """Horovod's own note of the TensorFlow that it was compiled against."""
    try:
        facts = json.loads(Path(str(distribution.locate_file("horovod/metadata.json"))).read_text())
        return str(facts.get("tensorflow", "none"))
    except (OSError, ValueError):
        return "unknown"


def _prove(
    build: BuildEnvironment, folder: Path, environment: Mapping[str, str], report: Callable[[str], None]
) -> dict[str, Proof]:
    """Two ranks over each transport. NCCL joins GPUs only, one for each rank: with fewer the ranks use the CPU."""
    gpus = count_gpus(environment) if build.cuda else 0
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        gpus = min(gpus, len([name for name in visible.split(",") if name.strip() not in ("", "-1")]))
    variables = dict(environment)
    if gpus < 2:
        variables["CUDA_VISIBLE_DEVICES"] = "-1"
        if build.cuda:
            report(f"two ranks need two GPUs and {gpus} are here: the proof runs on the CPU, NCCL stays untried")
    log = folder / "proof.log"
    log.write_bytes(b"")
    proofs: dict[str, Proof] = {}
    for transport in ("gloo", "mpi") if build.mpi else ("gloo",):
        proof = prove([_horovodrun(), f"--{transport}"], log, variables)
        report(f"proved over {transport}: two ranks added their tensors on the {proof.device} ({proof.seconds:.0f} s)")
        proofs[transport] = proof
    return proofs


def _horovodrun() -> str:
    """The program that the package itself installed, whether or not its folder is on PATH."""
    distribution = _installed()
    files = (distribution.files if distribution else None) or []
    for file in files:
        if file.name == "horovodrun":
            return os.path.abspath(str(file.locate()))
    raise RunError("the installed Horovod has no horovodrun: run `tfdl install-horovod --force`")
