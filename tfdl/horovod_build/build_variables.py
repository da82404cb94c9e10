"""The environment variables that steer Horovod's build."""

import os
from collections.abc import Mapping
from pathlib import Path

from tfdl.horovod_build.build_environment import BuildEnvironment

# Variables of the user that the build respects. Others of Horovod's would change what is built.
_KEPT = ("HOROVOD_BUILD_ARCH_FLAGS", "HOROVOD_BUILD_CUDA_CC_LIST")
# Horovod links oneCCL wherever CCL_ROOT is set; the others change CMake's generator and print debugging output.
_REMOVED = ("CCL_ROOT", "CMAKE_GENERATOR", "DISTUTILS_DEBUG")


def build_variables(build: BuildEnvironment, work: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Makes the variables of the build: the user's, without those that would change what is built, and Horovod's.

    Args:
        build: what to build with and for.
        work: the temporary folder, with ``requirements``, ``headers``, ``cmake`` and for GPUs ``nccl`` in it.
        environment: environment variables of the user.
    """
    variables = {
        name: value
        for name, value in environment.items()
        if name not in _REMOVED and (name in _KEPT or not name.startswith("HOROVOD_"))
    }
    requirements = str(work / "requirements")
    programs = [os.path.join(requirements, "bin"), environment.get("PATH", os.defpath)]
    if build.cuda:
        programs.insert(0, str(build.cuda.root / "bin"))
    python_path = environment.get("PYTHONPATH")
    variables |= {
        "PATH": os.pathsep.join(programs),
        "PYTHONPATH": os.pathsep.join([requirements, python_path]) if python_path else requirements,
        "CC": build.compiler.cc,
        "CXX": build.compiler.cxx,
        "CXXFLAGS": f"{environment.get('CXXFLAGS', '')} -iquote {work / 'headers'}".strip(),
        "CMAKE_GENERATOR": "Unix Makefiles",
        # Replaces the flags of a make that called this program: its job server cannot be reached from here.
        "MAKEFLAGS": f"-j{len(os.sched_getaffinity(0))}",
        "CUDA_VISIBLE_DEVICES": "-1",  # the build imports TensorFlow, which need not start a GPU
        "HOROVOD_CMAKE": str(work / "cmake"),
        "HOROVOD_WITH_TENSORFLOW": "1",
        "HOROVOD_WITHOUT_PYTORCH": "1",
        "HOROVOD_WITHOUT_MXNET": "1",
        "HOROVOD_WITH_GLOO": "1",
        "HOROVOD_WITH_MPI" if build.mpi else "HOROVOD_WITHOUT_MPI": "1",
    }
    return variables | _gpu_variables(build, work)


def _gpu_variables(build: BuildEnvironment, work: Path) -> dict[str, str]:
    if build.cuda is None or build.nccl is None:
        return {"HOROVOD_WITHOUT_NVTX": "1"}
    return {
        "HOROVOD_GPU": "CUDA",
        "HOROVOD_GPU_OPERATIONS": "NCCL",
        "HOROVOD_CUDA_HOME": str(build.cuda.root),
        "HOROVOD_NCCL_LINK": "SHARED",
        "HOROVOD_NCCL_INCLUDE": str(build.nccl.include),
        "HOROVOD_NCCL_LIB": str(work / "nccl"),
    }


def library_run_path(build: BuildEnvironment) -> str:
    """The built library's run path: the folders of NCCL and MPI, so that nobody has to set LD_LIBRARY_PATH."""
    folders = []
    if build.nccl:
        folders.append(build.nccl.runtime_path)
    if build.mpi:
        folders += build.mpi.library_folders
    return ";".join(folders)
