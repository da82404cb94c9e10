"""Finds the programs that Horovod's build needs on this machine: a C++17 compiler, make, CMake and MPI.

Each function returns what it found, or raises an error of one line with what is missing and what to install.
"""

import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tfdl.errors import UserError
from tfdl.horovod_build.command_output import output_of

# Horovod requires CMake 3.13; CMake 4 rejects projects that Horovod bundles.
FIRST_CMAKE = (3, 13)
CMAKE_LIMIT = (4, 0)

_CXX17_PROGRAM = "#include <optional>\nstd::optional<int> nothing;\n"
_INSTALL_COMPILER = "install one (Debian, Ubuntu: apt-get install g++ make; Fedora: dnf install gcc-c++ make)"


@dataclass(frozen=True)
class Compiler:
    """The C++ and C compilers. The names of the fields are part of the build's key.

    Attributes:
        cxx: command of the C++ compiler, arguments included, such as ``ccache g++``.
        cc: command of the C compiler.
        version: first line of the C++ compiler's ``--version``.
        target: the platform that it compiles for, such as ``x86_64-linux-gnu``.
    """

    cxx: str
    cc: str
    version: str
    target: str


@dataclass(frozen=True)
class Mpi:
    """An MPI. The names of the fields are part of the build's key.

    Attributes:
        version: first line of ``mpirun --version``.
        flags: the compiler call that ``mpicxx -show`` prints.
    """

    version: str
    flags: str

    @property
    def library_folders(self) -> tuple[str, ...]:
        """Folders of MPI's libraries, from the ``-L`` flags."""
        return tuple(flag[2:] for flag in shlex.split(self.flags) if flag.startswith("-L"))


def find_compiler(environment: Mapping[str, str]) -> Compiler:
    """Finds ``CXX`` and ``CC`` when they are set, else the usual compilers on PATH, and compiles a line of C++17.

    Raises:
        UserError: no C++ compiler, no C compiler, no C++17, or no make.
    """
    cxx = _require_compiler("C++", "CXX", ("c++", "g++", "clang++"), environment)
    cc = _require_compiler("C", "CC", ("cc", "gcc", "clang"), environment)
    _check_cxx17(cxx, environment)
    if shutil.which("make", path=environment.get("PATH", "")) is None:
        raise UserError(
            "no make on PATH, and Horovod's build needs it: apt-get install make (Fedora: dnf install make)"
        )
    _, version = output_of([*shlex.split(cxx), "--version"], environment)
    _, target = output_of([*shlex.split(cxx), "-dumpmachine"], environment)
    return Compiler(cxx, cc, version.partition("\n")[0], target)


def _require_compiler(language: str, variable: str, names: Sequence[str], environment: Mapping[str, str]) -> str:
    """The user's compiler command from ``variable``, or the first of ``names`` that is on PATH."""
    requested = environment.get(variable, "").strip()
    candidates = [requested] if requested else names
    path = environment.get("PATH", "")
    for command in candidates:
        # The command may have arguments: only its first word is a program.
        program = shlex.split(command)[0]
        if shutil.which(program, path=path):
            return command
    received = "none on PATH"
    if environment.get(variable):
        received = f"{variable}={environment[variable]!r} is not a command"
    raise UserError(
        f"no {language} compiler ({received}), and Horovod is compiled from source: {_INSTALL_COMPILER},"
        f" or set {variable}"
    )


def _check_cxx17(cxx: str, environment: Mapping[str, str]) -> None:
    """Compiles two lines that need the C++17 standard library."""
    flags = shlex.split(environment.get("CXXFLAGS", ""))
    command = [*shlex.split(cxx), *flags, "-std=c++17", "-x", "c++", "-c", "-o", "/dev/null", "-"]
    code, output = output_of(command, environment, _CXX17_PROGRAM)
    if code == 0:
        return
    first_line = output.partition("\n")[0]
    reason = next((line for line in output.splitlines() if "error" in line), first_line)
    raise UserError(
        f"{cxx} cannot compile C++17 ({reason}), expected a working C++17 compiler: {_INSTALL_COMPILER}, or set CXX"
    )


def find_cmake(environment: Mapping[str, str]) -> tuple[str | None, str]:
    """Finds ``HOROVOD_CMAKE``, else ``cmake`` on PATH.

    Returns:
        The path of a CMake that can build Horovod, or ``None``, and a few words for the user about what was found.
    """
    command = environment.get("HOROVOD_CMAKE") or "cmake"
    path = shutil.which(command, path=environment.get("PATH", ""))
    match = None
    if path is not None:
        _, output = output_of([path, "--version"], environment)
        match = re.search(r"version\s+(\d+)\.(\d+)(\S*)", output)
    if match is None:
        return None, "no working CMake found"
    major, minor, patch = match.groups()
    version = f"CMake {major}.{minor}{patch}"
    if FIRST_CMAKE <= (int(major), int(minor)) < CMAKE_LIMIT:
        return path, version
    return None, f"{version} found, expected 3.13 to 3.31"


def find_mpi(environment: Mapping[str, str]) -> Mpi:
    """Finds the MPI whose ``mpicxx`` and ``mpirun`` are on PATH.

    Raises:
        UserError: one of them is missing or does not work.
    """
    wrapper_code, flags = output_of(["mpicxx", "-show"], environment)
    launcher_code, version = output_of(["mpirun", "--version"], environment)
    missing = []
    if wrapper_code != 0:
        missing.append("mpicxx")
    if launcher_code != 0:
        missing.append("mpirun")
    if missing:
        raise UserError(
            f"--mpi needs an MPI with its compiler wrapper, and no working {' and '.join(missing)} is on PATH: install"
            " one (Debian, Ubuntu: apt-get install libopenmpi-dev openmpi-bin), or omit --mpi: Gloo is built in"
        )
    return Mpi(version.partition("\n")[0], flags)
