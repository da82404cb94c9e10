"""Finds what a GPU build needs: the GPUs, a CUDA toolkit that fits TensorFlow's, and NCCL."""

import os
import re
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tfdl.errors import UserError
from tfdl.horovod_build.toolchain import TensorFlowBuild, output_of

_LISTED_GPUS = Path("/proc/driver/nvidia/gpus")
_TOOLKITS = Path("/usr/local")


@dataclass(frozen=True)
class CudaToolkit:
    """A CUDA toolkit: its root folder (``bin/nvcc`` is below it) and its version, like ``12.5``."""

    root: Path
    version: str

    @property
    def major(self) -> str:
        return self.version.partition(".")[0]


@dataclass(frozen=True)
class Nccl:
    """NCCL: its headers, its ``libnccl.so.2``, and where the built library will look for that when it is loaded."""

    version: str
    include: Path
    library: Path
    runtime_path: str


def count_gpus(environment: Mapping[str, str]) -> int:
    """NVIDIA GPUs of this machine: what ``nvidia-smi -L`` lists, or the driver's own list when that tool is missing."""
    code, output = output_of(["nvidia-smi", "-L"], environment)
    if code == 0:
        return sum(line.startswith("GPU ") for line in output.splitlines())
    return len(list(_LISTED_GPUS.iterdir())) if _LISTED_GPUS.is_dir() else 0


def find_cuda(tensorflow: TensorFlowBuild, environment: Mapping[str, str], toolkits: Path = _TOOLKITS) -> CudaToolkit:
    """The toolkit of TensorFlow's CUDA major version; ``HOROVOD_CUDA_HOME`` overrules.

    Both runtimes live in one process, and a toolkit of a newer major version asks for a newer driver than TensorFlow.

    Raises:
        UserError: TensorFlow is a CPU build, or there is no such toolkit.
    """
    if tensorflow.cuda is None:
        raise UserError(
            f"TensorFlow {tensorflow.version} here is built without CUDA, and a GPU build of Horovod needs it:"
            " install `tensorflow[and-cuda]` in place of it, or use --cpu"
        )
    wanted = tensorflow.cuda.partition(".")[0]
    found = [toolkit for nvcc in _nvccs(environment, toolkits) if (toolkit := _toolkit(nvcc, environment))]
    if not found:
        raise UserError(
            "no CUDA compiler (nvcc) in CUDA_HOME, on PATH or in /usr/local/cuda, and a GPU build needs it:"
            f" install the CUDA {wanted} toolkit (TensorFlow {tensorflow.version} is built for CUDA {tensorflow.cuda}),"
            " or use --cpu"
        )
    if environment.get("HOROVOD_CUDA_HOME"):
        return found[0]
    for toolkit in found:
        if toolkit.major == wanted:
            return toolkit
    raise UserError(
        f"TensorFlow {tensorflow.version} is built for CUDA {tensorflow.cuda} and the toolkit found is CUDA"
        f" {found[0].version} ({found[0].root}): install a CUDA {wanted} toolkit beside it and point CUDA_HOME at that,"
        f" set HOROVOD_CUDA_HOME={found[0].root} to take this one all the same, or use --cpu"
    )


def _nvccs(environment: Mapping[str, str], toolkits: Path) -> Iterator[str]:
    """Where an nvcc may be, most explicit first."""
    if environment.get("HOROVOD_CUDA_HOME"):
        yield os.path.join(environment["HOROVOD_CUDA_HOME"], "bin", "nvcc")
        return
    for name in ("CUDA_HOME", "CUDA_PATH"):
        if environment.get(name):
            yield os.path.join(environment[name], "bin", "nvcc")
    yield "nvcc"
    for folder in (toolkits / "cuda", *sorted(toolkits.glob("cuda-*"), reverse=True)):
        yield str(folder / "bin" / "nvcc")


def _toolkit(nvcc: str, environment: Mapping[str, str]) -> CudaToolkit | None:
    code, output = output_of([nvcc, "--version"], environment)
    release = re.search(r"release (\d+\.\d+)", output)
    if code != 0 or release is None:
        return None
    # The nvcc on PATH may be a script that calls the real one: nvcc itself says where its toolkit is.
    top = re.search(r"TOP=(\S+)", output_of([nvcc, "--dryrun", "-x", "cu", "-c", "/dev/null"], environment)[1])
    root = Path(top[1]) if top else Path(nvcc).parent.parent
    return CudaToolkit(Path(os.path.normpath(root)), release[1])


def find_nccl(tensorflow: TensorFlowBuild, environment: Mapping[str, str]) -> Nccl:
    """The NCCL of ``HOROVOD_NCCL_HOME``, else of the pip package that TensorFlow itself loads."""
    assert tensorflow.cuda is not None
    package = f"nvidia-nccl-cu{tensorflow.cuda.partition('.')[0]}"
    home = environment.get("HOROVOD_NCCL_HOME", "")
    try:
        root = Path(home) if home else Path(str(metadata.distribution(package).locate_file("nvidia/nccl")))
    except metadata.PackageNotFoundError:
        raise UserError(
            f"no NCCL: the pip package {package} is not installed, and GPUs are joined through it: run"
            f" `pip install {package}`, set HOROVOD_NCCL_HOME to a folder with its include/ and lib/, or use --cpu"
        ) from None
    header = root / "include" / "nccl.h"
    library = next((found for name in ("lib", "lib64") for found in (root / name).glob("libnccl.so.2")), None)
    if library is None or not header.is_file():
        raise UserError(
            f"no NCCL in {root}, expected include/nccl.h and lib/libnccl.so.2: reinstall {package},"
            " or point HOROVOD_NCCL_HOME at a folder that has both"
        )
    version = ".".join(re.findall(r"^#define NCCL_(?:MAJOR|MINOR|PATCH)\s+(\d+)", header.read_text(), re.MULTILINE))
    return Nccl(version, header.parent, library, _runtime_path(library.parent))


def _runtime_path(folder: Path) -> str:
    """Relative to the built library when both are in one site-packages, so that the wheel fits every environment."""
    packages = Path(sysconfig.get_path("platlib")).resolve()
    if folder.resolve().is_relative_to(packages):
        return "$ORIGIN/" + os.path.relpath(folder.resolve(), packages / "horovod" / "tensorflow")
    return str(folder.resolve())
