"""Builds Horovod's wheel in a temporary folder and keeps it in the user's cache."""

import json
import os
import re
import shlex
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
from tfdl.horovod_build.logged_command import first_error, run_logged

# Into a folder of their own: what the build needs is not what the user's environment asked for.
_REQUIREMENTS = ("setuptools<81", "wheel", "cloudpickle", "psutil", "pyyaml", "packaging")
_CMAKE_REQUIREMENT = "cmake>=3.13,<4"
_BUILD_SECONDS, _FETCH_SECONDS = 2 * 3600, 1800

# setup.py passes no options on to CMake, which by itself writes the folders that it linked from (temporary ones) into
# the library's run path. Only the configuring call gets the options.
_CMAKE_WRAPPER = """#!/bin/sh
case "$1" in
  --*) exec {cmake} "$@" ;;
  *) exec {cmake} "$@" -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON -DCMAKE_INSTALL_RPATH={run_path} ;;
esac
"""


def cached_wheel(folder: Path, version: str) -> Path | None:
    """The whole and readable wheel of that version in a cache folder."""
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
    """Compiles Horovod and returns the wheel in ``folder``, where the log stays as ``build.log`` whatever happens.

    Raises:
        RunError: fetching or compiling failed; names the log and the first error in it.
    """
    log = folder / "build.log"
    log.write_bytes(b"")
    cores = len(os.sched_getaffinity(0))
    report(f"building Horovod {HOROVOD_VERSION} on {cores} cores (about 2 minutes on 2 cores); log: {log}")
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tfdl-horovod-") as name:
        work = Path(name)
        if build.cmake is None:
            report("fetching a CMake for this build alone")
        variables = _prepare(build, work, environment, log)
        sdist = f"horovod-{HOROVOD_VERSION}.tar.gz"
        command = [*_pip("wheel"), "-v", "--no-cache-dir", "--no-deps", "--no-build-isolation", "-w", "wheels", sdist]

        def progress(seconds: float) -> None:
            percents = re.findall(rb"\[ *(\d+)%\]", log.read_bytes())
            if percents:
                report(f"building Horovod: {percents[-1].decode()}% after {seconds:.0f} s")

        _run(command, work, variables, log, _BUILD_SECONDS, progress)
        built = next((work / "wheels").glob("horovod-*.whl"))
        wheel = _keep(build, built, folder)
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
    progress: Callable[[float], None] | None = None,
) -> None:
    code = run_logged(command, log, variables, work, timeout, progress)
    if code != 0:
        reason = first_error(log) if code is not None else f"not done after {timeout:.0f} s"
        raise RunError(f"building Horovod failed: {reason}; the whole log is {log}")


def _prepare(build: BuildEnvironment, work: Path, environment: Mapping[str, str], log: Path) -> dict[str, str]:
    """Fills the work folder with requirements, headers and source, and returns the variables for the compilation."""
    for name, content in compat_headers().items():
        header = work / "headers" / name
        header.parent.mkdir(parents=True, exist_ok=True)
        header.write_bytes(content)
    requirements = [*_REQUIREMENTS, *([] if build.cmake else [_CMAKE_REQUIREMENT])]
    # pip refuses --target together with a configured --user.
    plain = {**environment, "PIP_USER": "0"}
    _run([*_pip("install"), "--target", "requirements", *requirements], work, plain, log, _FETCH_SECONDS)

    cmake = build.cmake or str(work / "requirements" / "cmake" / "data" / "bin" / "cmake")
    wrapper = work / "cmake"
    wrapper.write_text(_CMAKE_WRAPPER.format(cmake=shlex.quote(cmake), run_path=shlex.quote(_run_path(build))))
    wrapper.chmod(0o755)
    if build.nccl is not None:  # the pip package has no libnccl.so, which is what linkers look for
        (work / "nccl").mkdir()
        (work / "nccl" / "libnccl.so").symlink_to(build.nccl.library)

    variables = build_variables(build, work, environment)
    pinned = work / "horovod.txt"
    pinned.write_text(f"horovod=={HOROVOD_VERSION} --hash=sha256:{HOROVOD_SHA256}\n")
    fetch = [*_pip("download"), "--no-deps", "--no-build-isolation", "--no-binary", "horovod", "--require-hashes"]
    _run([*fetch, "-r", pinned.name, "-d", "."], work, variables, log, _FETCH_SECONDS)
    # Only now: the index knows this version without a local part, and pip compares the two.
    return {**variables, "HOROVOD_LOCAL_VERSION": build.label}


def _run_path(build: BuildEnvironment) -> str:
    """Where the built library finds NCCL and MPI when it is loaded: no LD_LIBRARY_PATH is asked of anybody."""
    folders = [build.nccl.runtime_path] if build.nccl else []
    return ";".join(folders + list(build.mpi.library_folders if build.mpi else ()))


def build_variables(build: BuildEnvironment, work: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The user's variables, less those that would steer the build elsewhere, plus what Horovod's build reads."""
    kept = ("HOROVOD_BUILD_ARCH_FLAGS", "HOROVOD_BUILD_CUDA_CC_LIST")
    variables = {name: value for name, value in environment.items() if not name.startswith("HOROVOD_") or name in kept}
    for name in ("CCL_ROOT", "CMAKE_GENERATOR", "DISTUTILS_DEBUG"):  # oneCCL is linked in wherever it is found
        variables.pop(name, None)
    requirements = str(work / "requirements")
    paths = [str(build.cuda.root / "bin")] if build.cuda else []
    variables |= {
        "PATH": os.pathsep.join([*paths, os.path.join(requirements, "bin"), environment.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join(filter(None, [requirements, environment.get("PYTHONPATH")])),
        "CC": build.compiler.cc,
        "CXX": build.compiler.cxx,
        "CXXFLAGS": f"{environment.get('CXXFLAGS', '')} -iquote {work / 'headers'}".strip(),
        "CMAKE_GENERATOR": "Unix Makefiles",
        # Replaces a surrounding make's, whose job server is out of reach here.
        "MAKEFLAGS": f"-j{len(os.sched_getaffinity(0))}",
        "CUDA_VISIBLE_DEVICES": "-1",
        "HOROVOD_CMAKE": str(work / "cmake"),
        "HOROVOD_WITH_TENSORFLOW": "1",
        "HOROVOD_WITHOUT_PYTORCH": "1",
        "HOROVOD_WITHOUT_MXNET": "1",
        "HOROVOD_WITH_GLOO": "1",
        "HOROVOD_WITH_MPI" if build.mpi else "HOROVOD_WITHOUT_MPI": "1",
    }
    if build.cuda is None or build.nccl is None:
        return variables | {"HOROVOD_WITHOUT_NVTX": "1"}
    return variables | {
        "HOROVOD_GPU": "CUDA",
        "HOROVOD_GPU_OPERATIONS": "NCCL",
        "HOROVOD_CUDA_HOME": str(build.cuda.root),
        "HOROVOD_NCCL_LINK": "SHARED",
        "HOROVOD_NCCL_INCLUDE": str(build.nccl.include),
        "HOROVOD_NCCL_LIB": str(work / "nccl"),
    }


def _keep(build: BuildEnvironment, built: Path, folder: Path) -> Path:
    """Moves the wheel into the cache under its final name last, so that a killed install leaves none that is torn."""
    description = folder / f".ingredients-{os.getpid()}"
    description.write_text(json.dumps(build.ingredients(), indent=1, sort_keys=True) + "\n")
    os.replace(description, folder / "ingredients.json")
    aside = folder / f".{built.name}-{os.getpid()}"
    try:
        aside.write_bytes(built.read_bytes())
        os.replace(aside, folder / built.name)
    finally:
        aside.unlink(missing_ok=True)
    return folder / built.name
