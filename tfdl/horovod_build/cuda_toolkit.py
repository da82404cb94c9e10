"""Finds what a GPU build needs: the GPUs, a CUDA toolkit of TensorFlow's CUDA version, and NCCL."""

import os
import re
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tfdl.errors import UserError
from tfdl.horovod_build.command_output import output_of
from tfdl.horovod_build.python_environment import TensorFlowBuild

# The driver has one folder here for each GPU.
_DRIVER_GPUS = Path("/proc/driver/nvidia/gpus")
_TOOLKITS = Path("/usr/local")


@dataclass(frozen=True)
class CudaToolkit:
    """A CUDA toolkit: its root folder (with ``bin/nvcc``) and its version, like ``12.5``."""

    root: Path
    version: str

    @property
    def major(self) -> str:
        """The major version, like ``12``."""
        return self.version.partition(".")[0]


@dataclass(frozen=True)
class Nccl:
    """An installation of NCCL.

    Attributes:
        version: like ``2.27.7``.
        include: folder of ``nccl.h``.
        library: path of ``libnccl.so.2``.
        runtime_path: the folder in which the built library looks for ``libnccl.so.2`` when it is loaded.
    """

    version: str
    include: Path
    library: Path
    runtime_path: str


def count_gpus(environment: Mapping[str, str]) -> int:
    """Counts the NVIDIA GPUs that ``nvidia-smi -L`` lists, or that the driver lists where that tool is missing."""
    code, output = output_of(["nvidia-smi", "-L"], environment)
    if code == 0:
        return sum(line.startswith("GPU ") for line in output.splitlines())
    if _DRIVER_GPUS.is_dir():
        return len(list(_DRIVER_GPUS.iterdir()))
    return 0


def find_cuda(tensorflow: TensorFlowBuild, environment: Mapping[str, str], toolkits: Path = _TOOLKITS) -> CudaToolkit:
    """Finds a toolkit of TensorFlow's CUDA major version. ``HOROVOD_CUDA_HOME`` selects a toolkit of any version.

    Horovod and TensorFlow load their CUDA runtimes into one process, and a toolkit of a newer major version needs a
    newer driver than TensorFlow does.

    Args:
        tensorflow: the TensorFlow that Horovod is built for.
        environment: environment variables with ``CUDA_HOME``, ``PATH`` and so on.
        toolkits: folder in which toolkits are installed as ``cuda`` and ``cuda-VERSION``.

    Raises:
        UserError: TensorFlow is a CPU build, or there is no such toolkit.
    """
    if tensorflow.cuda is None:
        raise UserError(
            f"TensorFlow {tensorflow.version} is built without CUDA, and a GPU build of Horovod needs it:"
            " install `tensorflow[and-cuda]` in place of it, or use --cpu"
        )
    expected_major = tensorflow.cuda.partition(".")[0]
    candidates = [_toolkit_of(nvcc, environment) for nvcc in _nvcc_candidates(environment, toolkits)]
    installed = [toolkit for toolkit in candidates if toolkit is not None]
    if not installed:
        raise UserError(
            "no CUDA compiler (nvcc) in CUDA_HOME, on PATH or in /usr/local/cuda, and a GPU build needs it:"
            f" install the CUDA {expected_major} toolkit (TensorFlow {tensorflow.version} is built for CUDA"
            f" {tensorflow.cuda}), or use --cpu"
        )
    first = installed[0]
    if environment.get("HOROVOD_CUDA_HOME"):
        return first
    for toolkit in installed:
        if toolkit.major == expected_major:
            return toolkit
    raise UserError(
        f"TensorFlow {tensorflow.version} is built for CUDA {tensorflow.cuda} and the toolkit found is CUDA"
        f" {first.version} ({first.root}): install a CUDA {expected_major} toolkit beside it and set CUDA_HOME to its"
        f" folder, set HOROVOD_CUDA_HOME={first.root} to use this one anyway, or use --cpu"
    )


def _nvcc_candidates(environment: Mapping[str, str], toolkits: Path) -> Iterator[str]:
    """Commands that may be an nvcc, the user's explicit choice first."""
    if environment.get("HOROVOD_CUDA_HOME"):
        yield os.path.join(environment["HOROVOD_CUDA_HOME"], "bin", "nvcc")
        return
    for name in ("CUDA_HOME", "CUDA_PATH"):
        if environment.get(name):
            yield os.path.join(environment[name], "bin", "nvcc")
    yield "nvcc"
    yield str(toolkits / "cuda" / "bin" / "nvcc")
    for folder in sorted(toolkits.glob("cuda-*"), reverse=True):
        yield str(folder / "bin" / "nvcc")


def _toolkit_of(nvcc: str, environment: Mapping[str, str]) -> CudaToolkit | None:
    code, output = output_of([nvcc, "--version"], environment)
    release = re.search(r"release (\d+\.\d+)", output)
    if code != 0 or release is None:
        return None
    # The nvcc on PATH may be a script that calls the real one. The real one prints the root of its toolkit.
    _, dry_run = output_of([nvcc, "--dryrun", "-x", "cu", "-c", "/dev/null"], environment)
    top = re.search(r"TOP=(\S+)", dry_run)
    root = Path(top[1]) if top else Path(nvcc).parent.parent
    return CudaToolkit(Path(os.path.normpath(root)), release[1])


def find_nccl(tensorflow: TensorFlowBuild, environment: Mapping[str, str]) -> Nccl:
    """Finds the NCCL of ``HOROVOD_NCCL_HOME``, else that of the pip package that TensorFlow itself loads.

    Args:
        tensorflow: a TensorFlow that is built for CUDA.
        environment: environment variables.

    Raises:
        UserError: no NCCL, or an incomplete one.
    """
    assert tensorflow.cuda is not None
    package = f"nvidia-nccl-cu{tensorflow.cuda.partition('.')[0]}"
    root = _nccl_root(package, environment)
    header = root / "include" / "nccl.h"
    libraries = [*(root / "lib").glob("libnccl.so.2"), *(root / "lib64").glob("libnccl.so.2")]
    if not libraries or not header.is_file():
        raise UserError(
            f"no NCCL in {root}, expected include/nccl.h and lib/libnccl.so.2: reinstall {package},"
            " or set HOROVOD_NCCL_HOME to a folder that has both"
        )
    library = libraries[0]
    numbers = re.findall(r"^#define NCCL_(?:MAJOR|MINOR|PATCH)\s+(\d+)", header.read_text(), re.MULTILINE)
    return Nccl(".".join(numbers), header.parent, library, _runtime_path(library.parent))


def _nccl_root(package: str, environment: Mapping[str, str]) -> Path:
    home = environment.get("HOROVOD_NCCL_HOME", "")
    if home:
        return Path(home)
    try:
        distribution = metadata.distribution(package)
    except metadata.PackageNotFoundError:
        raise UserError(
            f"no NCCL: the pip package {package} is not installed, and GPUs communicate through it: run"
            f" `pip install {package}`, set HOROVOD_NCCL_HOME to a folder with its include/ and lib/, or use --cpu"
        ) from None
    return Path(str(distribution.locate_file("nvidia/nccl")))


def _runtime_path(folder: Path) -> str:
    """The run path for ``folder``.

    It is relative to the built library when both are in one site-packages folder. The wheel then works in every
    environment.
    """
    packages = Path(sysconfig.get_path("platlib")).resolve()
    library_folder = folder.resolve()
    if library_folder.is_relative_to(packages):
        return "$ORIGIN/" + os.path.relpath(library_folder, packages / "horovod" / "tensorflow")
    return str(library_folder)
