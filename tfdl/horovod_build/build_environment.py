"""Everything that a built Horovod depends on, as one object with a key: equal keys mean interchangeable wheels."""

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

from tfdl.horovod_build import cuda_toolkit, toolchain
from tfdl.horovod_build.cuda_toolkit import CudaToolkit, Nccl
from tfdl.horovod_build.toolchain import Compiler, Mpi, TensorFlowBuild

HOROVOD_VERSION = "0.28.1"
HOROVOD_SHA256 = "92a43f5a94c43907a56805bad15f19700c62ffc83b7ca483f9e104e229f67ef0"
# Goes up when wheel_build.py compiles differently, so that wheels kept from before are not taken for its own.
RECIPE = 1

# The user's variables that reach the compilers. CMake's version, ccache and MAKEFLAGS do not change the result.
FLAG_VARIABLES = (
    "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "CUDAFLAGS", "HOROVOD_BUILD_ARCH_FLAGS", "HOROVOD_BUILD_CUDA_CC_LIST",
)  # fmt: skip


@dataclass(frozen=True)
class BuildEnvironment:
    """What ``install_horovod`` builds with and for; ``cmake`` is None when one has to be fetched."""

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
        """What the key is made of, readable; kept beside the wheel. Holds no path of this environment."""
        facts = asdict(self)
        del facts["cmake"], facts["tensorflow"]["include"]
        facts["cuda"] = self.cuda and self.cuda.version
        facts["nccl"] = self.nccl and [self.nccl.version, self.nccl.runtime_path]
        return {"horovod": HOROVOD_VERSION, "sdist": HOROVOD_SHA256, "recipe": RECIPE, **facts}

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits that change with every ingredient."""
        return hashlib.sha256(json.dumps(self.ingredients(), sort_keys=True).encode()).hexdigest()[:12]

    @property
    def transports(self) -> str:
        """``cpu`` or ``cuda12.5``, and ``mpi``."""
        return ("cpu" if self.cuda is None else f"cuda{self.cuda.version}") + (".mpi" if self.mpi else "")

    @property
    def label(self) -> str:
        """The local part of the wheel's version: the installed package itself says what it was built for."""
        tensorflow = re.sub(r"[^a-z0-9]+", ".", self.tensorflow.version.lower())
        return f"tf{tensorflow}.{self.transports}.k{self.key}"

    @property
    def version(self) -> str:
        """The installed package's version, like ``0.28.1+tf2.21.0.cpu.k0123456789ab``."""
        return f"{HOROVOD_VERSION}+{self.label}"


def find_build_environment(
    gpu: bool | None, mpi: bool, environment: Mapping[str, str], report: Callable[[str], None]
) -> BuildEnvironment:
    """Looks at this machine; cheap checks first, so that an error comes at once.

    Raises:
        UserError: something is missing, in one line that says what to install.
    """
    toolchain.check_python()
    toolchain.check_pip(environment)
    compiler = toolchain.find_compiler(environment)
    found_mpi = toolchain.find_mpi(environment) if mpi else None
    cmake, cmake_words = toolchain.find_cmake(environment)
    tensorflow = toolchain.find_tensorflow(environment)
    if gpu is None:
        gpu = _decide_gpu(tensorflow, environment, report)
    cuda = cuda_toolkit.find_cuda(tensorflow, environment) if gpu else None
    nccl = cuda_toolkit.find_nccl(tensorflow, environment) if gpu else None
    parts = [f"TensorFlow {tensorflow.version}", f"Python {platform.python_version()}", compiler.version, cmake_words]
    if cuda and nccl:
        parts += [f"CUDA {cuda.version} ({cuda.root})", f"NCCL {nccl.version}"]
    report(", ".join(parts + ([found_mpi.version] if found_mpi else [])))
    if cuda and tensorflow.cuda and cuda.major != tensorflow.cuda.partition(".")[0]:
        report(f"warning: TensorFlow is built for CUDA {tensorflow.cuda}; HOROVOD_CUDA_HOME asked for {cuda.version}")
    return BuildEnvironment(
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


def _decide_gpu(tensorflow: TensorFlowBuild, environment: Mapping[str, str], report: Callable[[str], None]) -> bool:
    gpus = cuda_toolkit.count_gpus(environment)
    if not gpus:
        report("no NVIDIA GPU found: building for the CPU")
    elif tensorflow.cuda is None:
        report(f"NVIDIA GPUs found ({gpus}), but this TensorFlow is built without CUDA: building for the CPU")
    else:
        report(f"NVIDIA GPUs found ({gpus}): building for the GPU (--cpu builds without)")
    return bool(gpus) and tensorflow.cuda is not None


def _cpu_features() -> tuple[str, ...]:
    """Those that Horovod's build uses where it finds them: a cache on a shared disk serves other machines too."""
    cpuinfo = Path("/proc/cpuinfo")
    words = set(re.findall(r"\w+", cpuinfo.read_text())) if cpuinfo.exists() else set()
    return tuple(name for name in ("avx", "f16c", "fma") if name in words)


def compat_headers() -> dict[str, bytes]:
    """Relative path -> content of the headers that stand in for those which TensorFlow moved or stopped shipping."""
    found: dict[str, bytes] = {}

    def walk(folder: Traversable, prefix: str) -> None:
        for entry in folder.iterdir():
            if entry.is_dir():
                walk(entry, f"{prefix}{entry.name}/")
            elif entry.name.endswith(".h"):
                found[f"{prefix}{entry.name}"] = entry.read_bytes()

    walk(resources.files("tfdl.horovod_build") / "compat_headers", "")
    return dict(sorted(found.items()))


def hash_of_headers() -> str:
    """SHA-256 over the compat headers' names and contents."""
    digest = hashlib.sha256()
    for name, content in compat_headers().items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()
