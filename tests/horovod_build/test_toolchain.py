"""How install-horovod finds the tools on a machine, and the error line if something is missing."""

import json
import os
import venv
from dataclasses import replace
from pathlib import Path

import pytest

from tfdl.errors import UserError
from tfdl.horovod_build import build_environment, cuda_toolkit, python_environment, toolchain
from tfdl.horovod_build.cuda_toolkit import CudaToolkit, Nccl
from tfdl.horovod_build.python_environment import TensorFlowBuild

TENSORFLOW = TensorFlowBuild("2.21.0", "v2.21.0 Clang 18", "/site/include", ("-D_ABI=1",), ("-l:lib.so.2",), "12.5.1")


@pytest.fixture
def tools(tmp_path: Path):
    """A PATH of fake programs: ``tools("cmake", "echo cmake version 4.0.3")`` makes one and returns the environment."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def make(name: str = "", script: str = "") -> dict[str, str]:
        if name:
            program = folder / name
            program.parent.mkdir(parents=True, exist_ok=True)
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)
        return {"PATH": str(folder)}

    return make


@pytest.mark.parametrize(
    ("version", "implementation", "system", "received"),
    [
        ((3, 10), "cpython", "linux", "cpython 3.10 on linux"),
        ((3, 14), "cpython", "linux", "cpython 3.14 on linux"),
        ((3, 11), "pypy", "linux", "pypy 3.11 on linux"),
        ((3, 12), "cpython", "darwin", "cpython 3.12 on darwin"),
    ],
)
def test_another_python(version, implementation, system, received):
    with pytest.raises(UserError, match=rf"this is {received}, expected CPython 3.11 to 3.13 on Linux: make a virtual"):
        python_environment.check_python(version, implementation, system)


def test_this_python_and_all_supported_versions():
    python_environment.check_python()
    for minor in (11, 12, 13):
        python_environment.check_python((3, minor), "cpython", "linux")


def test_an_environment_without_pip_and_without_tensorflow(tmp_path):
    venv.create(tmp_path / "bare", with_pip=False)
    python = str(tmp_path / "bare" / "bin" / "python")
    with pytest.raises(UserError, match=r"bare/bin/python has no pip.* run `.*-m ensurepip` .*uv pip install pip"):
        python_environment.check_pip(dict(os.environ), python)
    with pytest.raises(UserError, match=r"has no TensorFlow, .* run `pip install 'tensorflow~=2.21.0'`"):
        python_environment.find_tensorflow(dict(os.environ), python)


def test_a_tensorflow_that_cannot_be_imported(tools):
    tools("python", "echo 'ImportError: libfoo.so: cannot open'; exit 1")
    environment = tools()
    with pytest.raises(UserError, match=r"TensorFlow cannot be imported by .* \(ImportError: libfoo.so: cannot open\)"):
        python_environment.find_tensorflow(environment, f"{environment['PATH']}/python")


def test_a_tensorflow_in_a_folder_with_spaces(tools):
    build = {
        "version": "2.21.0",
        "source": "",
        "include": "/my venv/include",
        "flags": [],
        "libraries": [],
        "cuda": None,
    }
    environment = tools("python", f"echo '{json.dumps(build)}'")
    with pytest.raises(UserError, match=r"TensorFlow is installed in '/my venv/include', .* a folder without them"):
        python_environment.find_tensorflow(environment, f"{environment['PATH']}/python")


def test_no_compiler(tools):
    with pytest.raises(UserError, match=r"no C\+\+ compiler \(none on PATH\), .*apt-get install g\+\+ .* or set CXX"):
        toolchain.find_compiler(tools())
    with pytest.raises(UserError, match=r"no C\+\+ compiler \(CXX='g\+\+-99' is not a command\)"):
        toolchain.find_compiler({**tools(), "CXX": "g++-99"})
    tools("c++", "exit 0")
    with pytest.raises(UserError, match=r"no C compiler \(none on PATH\)"):
        toolchain.find_compiler(tools())


def test_a_compiler_that_is_too_old_and_no_make(tools):
    tools("gcc", "exit 0")
    tools("c++", "echo \"c++: error: unrecognized command line option '-std=c++17'\"; exit 1")
    message = r"c\+\+ cannot compile C\+\+17 \(c\+\+: error: unrecognized command line option"
    with pytest.raises(UserError, match=message):
        toolchain.find_compiler(tools())
    tools("c++", "exit 0")
    with pytest.raises(UserError, match=r"no make on PATH, .*apt-get install make"):
        toolchain.find_compiler(tools())


def test_the_users_compiler_is_used(tools):
    for name in ("c++", "g++-13", "ccache", "cc", "make"):
        tools(name, f"echo {name}")
    compiler = toolchain.find_compiler({**tools(), "CXX": "ccache g++-13"})
    assert compiler.cxx == "ccache g++-13"
    assert compiler.cc == "cc"
    assert compiler.version == "ccache"


@pytest.mark.parametrize(
    ("script", "usable", "words"),
    [
        ("echo cmake version 3.13.0", True, "CMake 3.13.0"),
        ("echo cmake version 3.31.10", True, "CMake 3.31.10"),
        ("echo cmake version 3.12.4", False, "CMake 3.12.4 found, expected 3.13 to 3.31"),
        ("echo cmake version 4.0.3", False, "CMake 4.0.3 found, expected 3.13 to 3.31"),
        ("exit 1", False, "no working CMake found"),
    ],
)
def test_cmake_versions(tools, script, usable, words):
    environment = tools("cmake", script)
    expected_path = f"{environment['PATH']}/cmake" if usable else None
    assert toolchain.find_cmake(environment) == (expected_path, words)


def test_no_cmake(tools):
    assert toolchain.find_cmake(tools()) == (None, "no working CMake found")


def test_no_mpi(tools):
    with pytest.raises(UserError, match=r"no working mpicxx and mpirun is on PATH: .*libopenmpi-dev.* or omit --mpi"):
        toolchain.find_mpi(tools())
    tools("mpirun", "echo 'mpirun (Open MPI) 4.1.4'; echo; echo Report bugs")
    with pytest.raises(UserError, match=r"no working mpicxx is on PATH"):
        toolchain.find_mpi(tools())
    mpi = toolchain.find_mpi(tools("mpicxx", "echo g++ -I/opt/include -L/opt/lib -lmpi"))
    assert mpi.version == "mpirun (Open MPI) 4.1.4"
    assert mpi.library_folders == ("/opt/lib",)


# GPUs


def fake_toolkit(folder: Path, version: str) -> Path:
    """Writes a program ``nvcc`` that prints this version."""
    nvcc = folder / "bin" / "nvcc"
    nvcc.parent.mkdir(parents=True)
    nvcc.write_text(f'#!/bin/sh\necho "Cuda compilation tools, release {version}, V{version}.1"\n')
    nvcc.chmod(0o755)
    return folder


def test_no_cuda_toolkit(tools, tmp_path):
    with pytest.raises(UserError, match=r"no CUDA compiler \(nvcc\) .* install the CUDA 12 toolkit .* or use --cpu"):
        cuda_toolkit.find_cuda(TENSORFLOW, tools(), tmp_path)
    with pytest.raises(UserError, match=r"TensorFlow 2.21.0 is built without CUDA.* or use --cpu"):
        cuda_toolkit.find_cuda(replace(TENSORFLOW, cuda=None), tools(), tmp_path)


def test_a_cuda_toolkit_of_another_version(tools, tmp_path):
    other = fake_toolkit(tmp_path / "cuda-13.0", "13.0")
    with pytest.raises(UserError, match=r"built for CUDA 12.5.1 and the toolkit found is CUDA 13.0 .* or use --cpu"):
        cuda_toolkit.find_cuda(TENSORFLOW, tools(), tmp_path)
    explicit = {**tools(), "HOROVOD_CUDA_HOME": str(other)}
    assert cuda_toolkit.find_cuda(TENSORFLOW, explicit, tmp_path) == CudaToolkit(other, "13.0")
    fitting = fake_toolkit(tmp_path / "cuda-12.6", "12.6")
    assert cuda_toolkit.find_cuda(TENSORFLOW, tools(), tmp_path) == CudaToolkit(fitting, "12.6")


def test_a_script_that_calls_the_real_nvcc(tools, tmp_path):
    tools("nvcc", 'case "$1" in --dryrun) echo "#$ TOP=/opt/cuda/bin/..";; *) echo release 12.4,;; esac')
    assert cuda_toolkit.find_cuda(TENSORFLOW, tools(), tmp_path) == CudaToolkit(Path("/opt/cuda"), "12.4")


def test_no_nccl(tools, tmp_path):
    with pytest.raises(UserError, match=r"the pip package nvidia-nccl-cu99 is not installed.* or use --cpu"):
        cuda_toolkit.find_nccl(replace(TENSORFLOW, cuda="99.0"), tools())
    with pytest.raises(UserError, match=r"no NCCL in .*, expected include/nccl.h and lib/libnccl.so.2"):
        cuda_toolkit.find_nccl(TENSORFLOW, {**tools(), "HOROVOD_NCCL_HOME": str(tmp_path)})


def test_nccl_of_the_user(tools, tmp_path):
    (tmp_path / "include").mkdir()
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libnccl.so.2").touch()
    (tmp_path / "include" / "nccl.h").write_text(
        '#define NCCL_MAJOR 2\n#define NCCL_MINOR 27\n#define NCCL_PATCH 7\n#define NCCL_SUFFIX ""\n'
    )
    nccl = cuda_toolkit.find_nccl(TENSORFLOW, {**tools(), "HOROVOD_NCCL_HOME": str(tmp_path)})
    library = tmp_path / "lib" / "libnccl.so.2"
    assert nccl == Nccl("2.27.7", tmp_path / "include", library, str(tmp_path / "lib"))


def test_the_gpus_decide_when_no_option_is_given(tools):
    reports: list[str] = []
    environment = tools("nvidia-smi", "echo 'GPU 0: NVIDIA H200'; echo 'GPU 1: NVIDIA H200'")
    assert cuda_toolkit.count_gpus(environment) == 2
    assert build_environment._decide_gpu(TENSORFLOW, environment, reports.append)
    assert not build_environment._decide_gpu(replace(TENSORFLOW, cuda=None), environment, reports.append)
    assert reports == [
        "NVIDIA GPUs found (2): building for the GPU (--cpu builds without CUDA)",
        "NVIDIA GPUs found (2), but this TensorFlow is built without CUDA: building for the CPU",
    ]
