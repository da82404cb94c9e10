"""Finds what Horovod's build needs on this machine: Python, TensorFlow, a C++17 compiler, make, CMake and MPI.

Each function returns what it found or raises one line that says what is missing and what to install.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfdl.errors import UserError

FIRST_PYTHON, LAST_PYTHON = (3, 11), (3, 13)
# Horovod asks for 3.13; CMake 4 refuses the projects that Horovod bundles.
FIRST_CMAKE, CMAKE_LIMIT = (3, 13), (4, 0)

_ASK_TENSORFLOW = """
import json, tensorflow as tf
build = tf.sysconfig.get_build_info()
print(json.dumps({
    "version": tf.__version__,
    "source": f"{tf.version.GIT_VERSION} {tf.version.COMPILER_VERSION}",
    "include": tf.sysconfig.get_include(),
    "flags": [flag for flag in tf.sysconfig.get_compile_flags() if not flag.startswith("-I")],
    "libraries": [flag for flag in tf.sysconfig.get_link_flags() if not flag.startswith("-L")],
    "cuda": build.get("cuda_version") if build.get("is_cuda_build") else None,
}))
"""


@dataclass(frozen=True)
class TensorFlowBuild:
    """The TensorFlow that Horovod is compiled against; ``cuda`` is the CUDA version of a GPU wheel, else None."""

    version: str
    source: str
    include: str
    flags: tuple[str, ...]
    libraries: tuple[str, ...]
    cuda: str | None


@dataclass(frozen=True)
class Compiler:
    """The C++ and C compilers as commands, and the first line of the C++ compiler's ``--version``."""

    cxx: str
    cc: str
    version: str
    target: str


@dataclass(frozen=True)
class Mpi:
    """An MPI: its launcher's version line, and what its compiler wrapper adds."""

    version: str
    flags: str

    @property
    def library_folders(self) -> tuple[str, ...]:
        return tuple(flag[2:] for flag in shlex.split(self.flags) if flag.startswith("-L"))


def output_of(command: Sequence[str], environment: Mapping[str, str], text: str = "") -> tuple[int, str]:
    """Exit code and joined output of a short command; (127, "") when it cannot be started."""
    try:
        done = subprocess.run(
            command,
            input=text,
            env=dict(environment),
            text=True,
            errors="replace",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
        )
    except (OSError, subprocess.TimeoutExpired):
        return 127, ""
    return done.returncode, done.stdout.strip()


def check_python(
    version: tuple[int, int] = sys.version_info[:2],
    implementation: str = sys.implementation.name,
    system: str = sys.platform,
) -> None:
    """Raises UserError unless this is CPython 3.11 to 3.13 on Linux."""
    if implementation == "cpython" and system == "linux" and FIRST_PYTHON <= version <= LAST_PYTHON:
        return
    raise UserError(
        f"this is {implementation} {version[0]}.{version[1]} on {system}, expected CPython 3.11 to 3.13 on Linux:"
        " make a virtual environment with such a Python and install tfdl there"
    )


def check_pip(environment: Mapping[str, str], python: str = sys.executable) -> None:
    """Raises UserError when the environment has no pip, or one that its distribution forbids to use."""
    if output_of([python, "-P", "-m", "pip", "--version"], environment)[0] != 0:
        raise UserError(
            f"{python} has no pip, which fetches and installs Horovod:"
            f" run `{python} -m ensurepip` (in an environment made by uv: `uv pip install pip`)"
        )
    marker = Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED"
    if sys.prefix == sys.base_prefix and marker.exists() and "PIP_BREAK_SYSTEM_PACKAGES" not in environment:
        raise UserError(
            f"{sys.prefix} belongs to the operating system, whose pip installs nothing there:"
            " install tfdl in a virtual environment (python3 -m venv) and run this again from it"
        )


def find_tensorflow(environment: Mapping[str, str], python: str = sys.executable) -> TensorFlowBuild:
    """Asks a child process, so that this one stays free of TensorFlow.

    Raises:
        UserError: TensorFlow is missing, cannot be imported, or lies where Horovod's build cannot reach it.
    """
    quiet = {**environment, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    code, output = output_of([python, "-P", "-c", _ASK_TENSORFLOW], quiet)
    last = (output.splitlines() or ["it ended without a word"])[-1]
    if "No module named 'tensorflow'" in last:
        raise UserError(
            f"{python} has no TensorFlow, and Horovod is compiled against it:"
            " run `pip install 'tensorflow~=2.21.0'` (or `'tensorflow[and-cuda]~=2.21.0'` for GPUs) first"
        )
    if code != 0:
        raise UserError(f"TensorFlow cannot be imported by {python} ({last}): reinstall it, then run this again")
    facts = json.loads(last)
    if any(character.isspace() for character in facts["include"]):
        raise UserError(
            f"TensorFlow lies in {facts['include']!r}, and Horovod's build breaks on a path with spaces:"
            " make the virtual environment in a folder without them"
        )
    return TensorFlowBuild(**{**facts, "flags": tuple(facts["flags"]), "libraries": tuple(facts["libraries"])})


def find_compiler(environment: Mapping[str, str]) -> Compiler:
    """``CXX`` and ``CC`` when they are set, else the usual names on PATH; tried out on a line of C++17."""
    cxx = _command("CXX", ("c++", "g++", "clang++"), environment)
    cc = _command("CC", ("cc", "gcc", "clang"), environment)
    install = "install one (Debian, Ubuntu: apt-get install g++ make; Fedora: dnf install gcc-c++ make)"
    for language, name, found in (("C++", "CXX", cxx), ("C", "CC", cc)):
        if found is None:
            received = f"{name}={environment[name]!r} is no command" if environment.get(name) else "none on PATH"
            raise UserError(
                f"no {language} compiler ({received}), and Horovod is compiled here: {install}, or set {name}"
            )
    assert cxx is not None
    assert cc is not None
    flags = shlex.split(environment.get("CXXFLAGS", ""))
    trial = [*shlex.split(cxx), *flags, "-std=c++17", "-x", "c++", "-c", "-o", "/dev/null", "-"]
    code, output = output_of(trial, environment, "#include <optional>\nstd::optional<int> nothing;\n")
    if code != 0:
        reason = next((line for line in output.splitlines() if "error" in line), output.partition("\n")[0])
        raise UserError(
            f"{cxx} cannot compile C++17 ({reason}), expected a working C++17 compiler: {install}, or set CXX"
        )
    if shutil.which("make", path=environment.get("PATH", "")) is None:
        raise UserError(
            "no make on PATH, and Horovod's build needs it: apt-get install make (Fedora: dnf install make)"
        )
    version = output_of([*shlex.split(cxx), "--version"], environment)[1].partition("\n")[0]
    return Compiler(cxx, cc, version, output_of([*shlex.split(cxx), "-dumpmachine"], environment)[1])


def _command(variable: str, names: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """The user's command, arguments included (``ccache g++``), or the first of the names that is on PATH."""
    asked = environment.get(variable, "").strip()
    candidates = [asked] if asked else list(names)
    path = environment.get("PATH", "")
    return next((name for name in candidates if shutil.which(shlex.split(name)[0], path=path)), None)


def find_cmake(environment: Mapping[str, str]) -> tuple[str | None, str]:
    """A usable CMake's command, or None, and a few words about what was found."""
    command = environment.get("HOROVOD_CMAKE") or "cmake"
    found = shutil.which(command, path=environment.get("PATH", ""))
    match = (
        re.search(r"version\s+(\d+)\.(\d+)(\S*)", output_of([found, "--version"], environment)[1]) if found else None
    )
    if match is None:
        return None, "no working CMake found"
    version = f"CMake {match[1]}.{match[2]}{match[3]}"
    if FIRST_CMAKE <= (int(match[1]), int(match[2])) < CMAKE_LIMIT:
        return found, version
    return None, f"{version} found, expected 3.13 to 3.31"


def find_mpi(environment: Mapping[str, str]) -> Mpi:
    """The MPI whose ``mpicxx`` and ``mpirun`` are on PATH."""
    code, flags = output_of(["mpicxx", "-show"], environment)
    launcher, version = output_of(["mpirun", "--version"], environment)
    missing = [name for name, failed in (("mpicxx", code), ("mpirun", launcher)) if failed]
    if missing:
        raise UserError(
            f"--mpi needs an MPI with its compiler wrapper, and no working {' and '.join(missing)} is on PATH: install"
            " one (Debian, Ubuntu: apt-get install libopenmpi-dev openmpi-bin) or leave --mpi away, Gloo needs nothing"
        )
    return Mpi(version.partition("\n")[0], flags)
