"""Everything that a built Horovod depends on, as one object with a key. Equal keys mean interchangeable wheels."""

import hashlib
import json
import platform
import re
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from tfdl.horovod_build import cuda_toolkit, python_environment, toolchain
from tfdl.horovod_build.cuda_toolkit import CudaToolkit, Nccl
from tfdl.horovod_build.python_environment import TensorFlowBuild
from tfdl.horovod_build.toolchain import Compiler, Mpi

HOROVOD_VERSION = "0.28.1"
HOROVOD_SHA256 = "92a43f5a94c43907a56805bad15f19700c62ffc83b7ca483f9e104e229f67ef0"
# Increase this number when wheel_build.py compiles differently, or when launcher_patch.py changes: cached wheels of the
# old recipe are then not used.
RECIPE = 4

# The user's variables that reach the compilers. CMake's version, ccache and MAKEFLAGS do not change the result.
FLAG_VARIABLES = (
    "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "CUDAFLAGS", "HOROVOD_BUILD_ARCH_FLAGS", "HOROVOD_BUILD_CUDA_CC_LIST",
)  # fmt: skip


@dataclass(frozen=True)
class BuildEnvironment:
    """What Horovod is built with and for. The names of the fields are part of the key.

    Attributes:
        tensorflow: the TensorFlow that Horovod is compiled against.
        compiler: the C++ and C compilers.
        cmake: path of a CMake, ``None`` when one has to be downloaded for the build.
        cuda: the CUDA toolkit of a GPU build, else ``None``.
        nccl: the NCCL of a GPU build, else ``None``.
        mpi: the MPI to build for, or ``None``.
        flags: name and value of the user's variables in ``FLAG_VARIABLES`` that are set.
        python: the interpreter's ABI.
        machine: platform and C library.
        cpu_features: instruction sets that Horovod's build uses where it finds them.
        headers: SHA-256 of the compatibility headers.
    """

    tensorflow: TensorFlowBuild
    compiler: Compiler
    cmake: str | None
    cuda: CudaToolkit | None
    nccl: Nccl | None
    mpi: Mpi | None
    flags: tuple[tuple[str, str], ...]
    python: str
    machine: str
    cpu_features: tuple[str, ...]
    headers: str

    def ingredients(self) -> dict[str, Any]:
        """The values that the key is computed from. They are written beside the wheel, for people to read.

        They contain no path of this environment, so that environments can share a wheel.
        """
        fields = asdict(self)
        del fields["cmake"]
        del fields["tensorflow"]["include"]
        fields["cuda"] = self.cuda and self.cuda.version
        fields["nccl"] = self.nccl and [self.nccl.version, self.nccl.runtime_path]
        return {"horovod": HOROVOD_VERSION, "sdist": HOROVOD_SHA256, "recipe": RECIPE, **fields}

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits that change with every ingredient."""
        content = json.dumps(self.ingredients(), sort_keys=True).encode()
        return hashlib.sha256(content).hexdigest()[:12]

    @property
    def transports(self) -> str:
        """``cpu`` or ``cuda12.5``, with ``.mpi`` when it is built for MPI."""
        device = "cpu" if self.cuda is None else f"cuda{self.cuda.version}"
        return f"{device}.mpi" if self.mpi else device

    @property
    def label(self) -> str:
        """The local part of the wheel's version. It identifies what the installed package was built for."""
        tensorflow = re.sub(r"[^a-z0-9]+", ".", self.tensorflow.version.lower())
        return f"tf{tensorflow}.{self.transports}.k{self.key}"

    @property
    def version(self) -> str:
        """The installed package's version, like ``0.28.1+tf2.21.0.cpu.k0123456789ab``."""
        return f"{HOROVOD_VERSION}+{self.label}"


def find_build_environment(
    gpu: bool | None, mpi: bool, environment: Mapping[str, str], report: Callable[[str], None]
) -> BuildEnvironment:
    """Finds everything that the build needs on this machine.

    Args:
        gpu: build for GPUs; ``None`` decides by the GPUs and the TensorFlow of this machine.
        mpi: build for MPI as well as Gloo.
        environment: environment variables of the build.
        report: receives a line about what was found.

    Raises:
        UserError: something is missing. The message is one line with what to install.
    """
    # The quick checks come first, so that most errors appear at once: finding TensorFlow imports it.
    python_environment.check_python()
    python_environment.check_pip(environment)
    compiler = toolchain.find_compiler(environment)
    found_mpi = toolchain.find_mpi(environment) if mpi else None
    cmake, cmake_description = toolchain.find_cmake(environment)
    tensorflow = python_environment.find_tensorflow(environment)
    if gpu is None:
        gpu = _decide_gpu(tensorflow, environment, report)
    cuda = cuda_toolkit.find_cuda(tensorflow, environment) if gpu else None
    nccl = cuda_toolkit.find_nccl(tensorflow, environment) if gpu else None
    build = BuildEnvironment(
        tensorflow=tensorflow,
        compiler=compiler,
        cmake=cmake,
        cuda=cuda,
        nccl=nccl,
        mpi=found_mpi,
        flags=tuple((name, environment[name]) for name in FLAG_VARIABLES if environment.get(name)),
        python=f"{sys.implementation.cache_tag} {sysconfig.get_config_var('SOABI')}",
        machine=f"{sysconfig.get_platform()} {' '.join(platform.libc_ver())}",
        cpu_features=_cpu_features(),
        headers=hash_of_headers(),
    )
    _report_tools(build, cmake_description, report)
    return build


def _report_tools(build: BuildEnvironment, cmake_description: str, report: Callable[[str], None]) -> None:
    tensorflow = build.tensorflow
    cuda = build.cuda
    tools = [
        f"TensorFlow {tensorflow.version}",
        f"Python {platform.python_version()}",
        build.compiler.version,
        cmake_description,
    ]
    if cuda and build.nccl:
        tools += [f"CUDA {cuda.version} ({cuda.root})", f"NCCL {build.nccl.version}"]
    if build.mpi:
        tools.append(build.mpi.version)
    report(", ".join(tools))
    if cuda and tensorflow.cuda and cuda.major != tensorflow.cuda.partition(".")[0]:
        report(f"warning: TensorFlow is built for CUDA {tensorflow.cuda}; HOROVOD_CUDA_HOME selects {cuda.version}")


def _decide_gpu(tensorflow: TensorFlowBuild, environment: Mapping[str, str], report: Callable[[str], None]) -> bool:
    gpus = cuda_toolkit.count_gpus(environment)
    if gpus == 0:
        report("no NVIDIA GPU found: building for the CPU")
        return False
    if tensorflow.cuda is None:
        report(f"NVIDIA GPUs found ({gpus}), but this TensorFlow is built without CUDA: building for the CPU")
        return False
    report(f"NVIDIA GPUs found ({gpus}): building for the GPU (--cpu builds without CUDA)")
    return True


def _cpu_features() -> tuple[str, ...]:
    """Instruction sets that Horovod's build uses where it finds them.

    They are part of the key because machines with other processors may share the cache over a network disk.
    """
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return ()
    words = set(re.findall(r"\w+", cpuinfo.read_text()))
    return tuple(name for name in ("avx", "f16c", "fma") if name in words)


def compat_headers() -> dict[str, bytes]:
    """Relative path -> content of the headers that replace those that TensorFlow moved or no longer ships."""
    headers: dict[str, bytes] = {}

    def collect(folder: Traversable, prefix: str) -> None:
        for entry in folder.iterdir():
            if entry.is_dir():
                collect(entry, f"{prefix}{entry.name}/")
            elif entry.name.endswith(".h"):
                headers[f"{prefix}{entry.name}"] = entry.read_bytes()

    collect(resources.files("tfdl.horovod_build") / "compat_headers", "")
    return dict(sorted(headers.items()))


def hash_of_headers() -> str:
    """SHA-256 over the names and contents of the compatibility headers."""
    digest = hashlib.sha256()
    for name, content in compat_headers().items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()
