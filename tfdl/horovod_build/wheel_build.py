"""Builds Horovod's wheel in a temporary folder and keeps it in the user's cache."""

import json
import os
import re
import shlex
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tfdl.errors import RunError
from tfdl.horovod_build.build_environment import (
    HOROVOD_SHA256,
    HOROVOD_VERSION,
    BuildEnvironment,
    compat_headers,
)
from tfdl.horovod_build.build_variables import build_variables, library_run_path
from tfdl.horovod_build.launcher_patch import patch_launcher
from tfdl.horovod_build.logged_command import first_error, run_logged

# Python packages of the build. They are installed into a temporary folder, not into the user's environment.
_REQUIREMENTS = ("setuptools<81", "wheel", "cloudpickle", "psutil", "pyyaml", "packaging")
_CMAKE_REQUIREMENT = "cmake>=3.13,<4"
# The folder of the unpacked source.
_SOURCE = f"horovod-{HOROVOD_VERSION}"
_BUILD_SECONDS = 2 * 3600
_DOWNLOAD_SECONDS = 1800

# Horovod's setup.py cannot pass options to CMake. Without them CMake writes the folders that it linked from into the
# library's run path, and these are temporary. Only the call that configures takes the options: its first argument is
# no option.
_CMAKE_WRAPPER = """#!/bin/sh
case "$1" in
  --*) exec {cmake} "$@" ;;
  *) exec {cmake} "$@" -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON -DCMAKE_INSTALL_RPATH={run_path} ;;
esac
"""


def cached_wheel(folder: Path, version: str) -> Path | None:
    """Finds a complete wheel in a cache folder.

    Args:
        folder: the cache folder of one build environment.
        version: the version that the wheel must have, with its local part.

    Returns:
        The wheel's path, or ``None`` when there is none or its zip file is damaged.
    """
    for wheel in folder.glob("horovod-*.whl"):
        if wheel.name.split("-")[1] != version:
            continue
        try:
            with zipfile.ZipFile(wheel) as archive:
                if archive.testzip() is None:
                    return wheel
        except (OSError, zipfile.BadZipFile):
            continue
    return None


def build_wheel(
    build: BuildEnvironment, folder: Path, environment: Mapping[str, str], report: Callable[[str], None]
) -> Path:
    """Compiles Horovod. The log is kept as ``build.log``, also when the build fails.

    Args:
        build: what to build with and for.
        folder: the cache folder that receives the wheel and the log.
        environment: environment variables of the user.
        report: receives a line at each step, and about every 20 seconds the progress.

    Returns:
        The path of the wheel in ``folder``.

    Raises:
        RunError: downloading or compiling failed. The message names the log and the first error in it.
    """
    log = folder / "build.log"
    log.write_bytes(b"")
    cores = len(os.sched_getaffinity(0))
    report(f"building Horovod {HOROVOD_VERSION} on {cores} cores (about 2 minutes on 2 cores); log: {log}")
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tfdl-horovod-") as name:
        work = Path(name)
        if build.cmake is None:
            report("downloading CMake for this build only")
        variables = _prepare(build, work, environment, log)
        command = [*_pip("wheel"), "-v", "--no-cache-dir", "--no-deps", "--no-build-isolation", "-w", "wheels"]
        command.append(f"./{_SOURCE}")

        def report_progress(seconds: float) -> None:
            percents = re.findall(rb"\[ *(\d+)%\]", log.read_bytes())  # make prints "[ 42%]"
            if percents:
                report(f"building Horovod: {percents[-1].decode()}% after {seconds:.0f} s")

        _run(command, work, variables, log, _BUILD_SECONDS, report_progress)
        built = next((work / "wheels").glob("horovod-*.whl"))
        wheel = _move_to_cache(build, built, folder)
    report(f"built in {time.monotonic() - start:.0f} s; kept as {wheel}")
    return wheel


def _pip(command: str) -> list[str]:
    return [sys.executable, "-m", "pip", command, "--disable-pip-version-check", "--no-input"]


def _run(
    command: list[str],
    work: Path,
    variables: Mapping[str, str],
    log: Path,
    timeout: float,
    on_wait: Callable[[float], None] | None = None,
) -> None:
    code = run_logged(command, log, variables, work, timeout, on_wait)
    if code == 0:
        return
    reason = f"not finished after {timeout:.0f} s" if code is None else first_error(log)
    raise RunError(f"building Horovod failed: {reason}; the whole log is {log}")


def _prepare(build: BuildEnvironment, work: Path, environment: Mapping[str, str], log: Path) -> dict[str, str]:
    """Fills the work folder with requirements, headers and source, and returns the variables for the compilation."""
    _write_headers(work / "headers")
    requirements = list(_REQUIREMENTS)
    if build.cmake is None:
        requirements.append(_CMAKE_REQUIREMENT)
    # pip rejects --target together with a configured --user.
    pip_variables = {**environment, "PIP_USER": "0"}
    _run([*_pip("install"), "--target", "requirements", *requirements], work, pip_variables, log, _DOWNLOAD_SECONDS)
    _write_cmake_wrapper(build, work)
    if build.nccl is not None:
        # Linkers look for libnccl.so; the pip package has only libnccl.so.2.
        (work / "nccl").mkdir()
        (work / "nccl" / "libnccl.so").symlink_to(build.nccl.library)

    variables = build_variables(build, work, environment)
    pinned = work / "horovod.txt"
    pinned.write_text(f"horovod=={HOROVOD_VERSION} --hash=sha256:{HOROVOD_SHA256}\n")
    download = [*_pip("download"), "--no-deps", "--no-build-isolation", "--no-binary", "horovod", "--require-hashes"]
    _run([*download, "-r", pinned.name, "-d", "."], work, variables, log, _DOWNLOAD_SECONDS)
    shutil.unpack_archive(work / f"{_SOURCE}.tar.gz", work)  # pip has checked its hash
    patch_launcher(work / _SOURCE)
    # After the download: with a local part in the version, pip would reject the source for having another version than
    # the package index says.
    return {**variables, "HOROVOD_LOCAL_VERSION": build.label}


def _write_headers(folder: Path) -> None:
    for name, content in compat_headers().items():
        header = folder / name
        header.parent.mkdir(parents=True, exist_ok=True)
        header.write_bytes(content)


def _write_cmake_wrapper(build: BuildEnvironment, work: Path) -> None:
    cmake = build.cmake or str(work / "requirements" / "cmake" / "data" / "bin" / "cmake")
    script = _CMAKE_WRAPPER.format(cmake=shlex.quote(cmake), run_path=shlex.quote(library_run_path(build)))
    wrapper = work / "cmake"
    wrapper.write_text(script)
    wrapper.chmod(0o755)


def _move_to_cache(build: BuildEnvironment, built: Path, folder: Path) -> Path:
    """Copies the wheel under a temporary name and renames it last: a killed install leaves no partial wheel."""
    description = folder / f".ingredients-{os.getpid()}"
    description.write_text(json.dumps(build.ingredients(), indent=1, sort_keys=True) + "\n")
    os.replace(description, folder / "ingredients.json")
    temporary = folder / f".{built.name}-{os.getpid()}"
    wheel = folder / built.name
    try:
        temporary.write_bytes(built.read_bytes())
        os.replace(temporary, wheel)
    finally:
        temporary.unlink(missing_ok=True)
    return wheel
