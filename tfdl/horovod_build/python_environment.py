"""Checks the Python environment that Horovod is built for: the interpreter, pip and TensorFlow.

Each function returns what it found, or raises an error of one line with what is missing and what to install.
"""

import json
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tfdl.errors import UserError
from tfdl.horovod_build.command_output import output_of

FIRST_PYTHON = (3, 11)
LAST_PYTHON = (3, 13)

# Prints one line of JSON with the fields of TensorFlowBuild.
_TENSORFLOW_QUERY = """
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
    """The TensorFlow that Horovod is compiled against.

    The names of the fields are part of the build's key: a new name would invalidate every cached wheel.

    Attributes:
        version: ``tf.__version__``.
        source: git version of TensorFlow's source and the version of the compiler that built it.
        include: folder of TensorFlow's headers.
        flags: flags to compile with, without the include folders.
        libraries: flags to link with, without the library folders.
        cuda: the CUDA version of a GPU build, ``None`` for a CPU build.
    """

    version: str
    source: str
    include: str
    flags: tuple[str, ...]
    libraries: tuple[str, ...]
    cuda: str | None


def check_python(
    version: tuple[int, int] = sys.version_info[:2],
    implementation: str = sys.implementation.name,
    system: str = sys.platform,
) -> None:
    """Checks that this is CPython 3.11 to 3.13 on Linux.

    Args:
        version: major and minor version of the interpreter.
        implementation: name of the implementation, such as ``cpython``.
        system: name of the platform, such as ``linux``.

    Raises:
        UserError: another version, implementation or platform.
    """
    if implementation == "cpython" and system == "linux" and FIRST_PYTHON <= version <= LAST_PYTHON:
        return
    raise UserError(
        f"this is {implementation} {version[0]}.{version[1]} on {system}, expected CPython 3.11 to 3.13 on Linux:"
        " make a virtual environment with such a Python and install tfdl there"
    )


def check_pip(environment: Mapping[str, str], python: str = sys.executable) -> None:
    """Checks that the environment has a pip that may install packages.

    Args:
        environment: environment variables of the child process.
        python: the interpreter whose pip is checked.

    Raises:
        UserError: no pip, or one that the operating system does not allow to install packages (PEP 668).
    """
    code, _ = output_of([python, "-P", "-m", "pip", "--version"], environment)
    if code != 0:
        raise UserError(
            f"{python} has no pip, which downloads and installs Horovod:"
            f" run `{python} -m ensurepip` (in an environment made by uv: `uv pip install pip`)"
        )
    is_virtual_environment = sys.prefix != sys.base_prefix
    marker = Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED"
    if not is_virtual_environment and marker.exists() and "PIP_BREAK_SYSTEM_PACKAGES" not in environment:
        raise UserError(
            f"{sys.prefix} belongs to the operating system, and its pip installs nothing there:"
            " install tfdl in a virtual environment (python3 -m venv) and run this again from it"
        )


def find_tensorflow(environment: Mapping[str, str], python: str = sys.executable) -> TensorFlowBuild:
    """Describes the installed TensorFlow. A child process imports it, not this process.

    Args:
        environment: environment variables of the child process.
        python: the interpreter that imports TensorFlow.

    Raises:
        UserError: TensorFlow is missing, cannot be imported, or is in a folder that Horovod's build cannot use.
    """
    variables = {**environment, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    code, output = output_of([python, "-P", "-c", _TENSORFLOW_QUERY], variables)
    lines = output.splitlines()
    # The JSON, or the last line of a traceback. TensorFlow may print notices before either.
    last_line = lines[-1] if lines else "no output"
    if "No module named 'tensorflow'" in last_line:
        raise UserError(
            f"{python} has no TensorFlow, and Horovod is compiled against it:"
            " run `pip install 'tensorflow~=2.21.0'` (or `'tensorflow[and-cuda]~=2.21.0'` for GPUs) first"
        )
    if code != 0:
        raise UserError(f"TensorFlow cannot be imported by {python} ({last_line}): reinstall it, then run this again")
    fields = json.loads(last_line)
    include = fields["include"]
    if any(character.isspace() for character in include):
        raise UserError(
            f"TensorFlow is installed in {include!r}, and Horovod's build fails on a path with spaces:"
            " make the virtual environment in a folder without them"
        )
    # JSON has lists; the dataclass has tuples, so that it can be hashed and compared.
    fields["flags"] = tuple(fields["flags"])
    fields["libraries"] = tuple(fields["libraries"])
    return TensorFlowBuild(**fields)
