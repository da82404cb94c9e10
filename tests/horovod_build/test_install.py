"""install-horovod: the key of a build, the headers, the build, the cache, and the installation."""

import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from tfdl.errors import RunError, UserError
from tfdl.horovod_build import build_environment, install, wheel_build
from tfdl.horovod_build.build_environment import BuildEnvironment, compat_headers, hash_of_headers
from tfdl.horovod_build.build_variables import build_variables
from tfdl.horovod_build.cuda_toolkit import CudaToolkit, Nccl
from tfdl.horovod_build.logged_command import first_error, run_logged
from tfdl.horovod_build.python_environment import TensorFlowBuild
from tfdl.horovod_build.toolchain import Compiler, Mpi

HEADERS = {
    "tensorflow/compiler/tf2xla/xla_op_kernel.h",
    "tensorflow/compiler/tf2xla/xla_op_registry.h",
    "tensorflow/compiler/xla/client/xla_builder.h",
    "tensorflow/compiler/xla/service/custom_call_target_registry.h",
    "tensorflow/compiler/xla/service/hlo.pb.h",
    "tensorflow/compiler/xla/shape.h",
    "tensorflow/compiler/xla/stream_executor/stream.h",
    "tensorflow/compiler/xla/xla_data.pb.h",
}
TENSORFLOW = TensorFlowBuild("2.21.0", "v2.21.0 Clang 18", "/site/include", ("-D_ABI=1",), ("-l:lib.so.2",), "12.5.1")
BUILD = BuildEnvironment(
    tensorflow=TENSORFLOW,
    compiler=Compiler("c++", "cc", "c++ 12.2.0", "x86_64-linux-gnu"),
    cmake="/usr/bin/cmake",
    cuda=None,
    nccl=None,
    mpi=None,
    flags=(),
    python="cpython-311 x86_64",
    machine="linux-x86_64 glibc 2.36",
    cpu_features=("avx",),
    headers="00",
)
CUDA = CudaToolkit(Path("/usr/local/cuda-12.5"), "12.5")
NCCL = Nccl("2.27.7", Path("/n/include"), Path("/n/lib/libnccl.so.2"), "$ORIGIN/../../nvidia/nccl/lib")


# The key


@pytest.mark.parametrize(
    "change",
    [
        {"tensorflow": replace(TENSORFLOW, version="2.21.1")},
        {"tensorflow": replace(TENSORFLOW, source="v2.21.0 Clang 19")},
        {"tensorflow": replace(TENSORFLOW, flags=("-D_ABI=0",))},
        {"tensorflow": replace(TENSORFLOW, libraries=("-l:lib.so.3",))},
        {"tensorflow": replace(TENSORFLOW, cuda=None)},
        {"compiler": replace(BUILD.compiler, version="c++ 13.1.0")},
        {"compiler": replace(BUILD.compiler, cxx="clang++")},
        {"compiler": replace(BUILD.compiler, target="aarch64-linux-gnu")},
        {"cuda": CUDA, "nccl": NCCL},
        {"mpi": Mpi("mpirun (Open MPI) 4.1.4", "g++ -lmpi")},
        {"flags": (("CXXFLAGS", "-O1"),)},
        {"python": "cpython-312 x86_64"},
        {"machine": "linux-aarch64 glibc 2.36"},
        {"cpu_features": ()},
        {"headers": "01"},
    ],
    ids=lambda change: "-".join(change),
)
def test_the_key_changes_with_each_ingredient(change):
    changed = replace(BUILD, **change)
    assert changed.key != BUILD.key
    assert changed.version != BUILD.version


def test_the_key_changes_with_cuda_nccl_and_mpi_versions():
    gpu = replace(BUILD, cuda=CUDA, nccl=NCCL)
    mpi = replace(BUILD, mpi=Mpi("mpirun (Open MPI) 4.1.4", "g++ -lmpi"))
    others = [
        replace(gpu, cuda=replace(CUDA, version="12.6")),
        replace(gpu, nccl=replace(NCCL, version="2.28.0")),
        replace(gpu, nccl=replace(NCCL, runtime_path="/opt/nccl/lib")),
        replace(mpi, mpi=Mpi("mpirun (Open MPI) 5.0.0", "g++ -lmpi")),
        replace(mpi, mpi=Mpi("mpirun (Open MPI) 4.1.4", "g++ -L/opt/lib -lmpi")),
    ]
    assert len({build.key for build in (BUILD, gpu, mpi, *others)}) == 8


@pytest.mark.parametrize(("name", "value"), [("HOROVOD_VERSION", "0.28.2"), ("HOROVOD_SHA256", "00"), ("RECIPE", 99)])
def test_the_key_changes_with_horovod_and_with_the_recipe(monkeypatch, name, value):
    key = BUILD.key
    monkeypatch.setattr(build_environment, name, value)
    assert BUILD.key != key


def test_the_key_does_not_depend_on_cmake_and_paths():
    elsewhere = replace(BUILD, cmake=None, tensorflow=replace(TENSORFLOW, include="/other/site/include"))
    assert elsewhere.key == BUILD.key


def test_the_version_names_tensorflow_cuda_and_mpi():
    assert BUILD.version == f"0.28.1+tf2.21.0.cpu.k{BUILD.key}"
    gpu = replace(BUILD, cuda=CUDA, nccl=NCCL, mpi=Mpi("", ""), tensorflow=replace(TENSORFLOW, version="2.22.0-rc1"))
    assert gpu.version == f"0.28.1+tf2.22.0.rc1.cuda12.5.mpi.k{gpu.key}"


# The headers


def test_the_headers_are_complete_and_their_hash_depends_on_contents_and_names(monkeypatch):
    headers = compat_headers()
    assert set(headers) == HEADERS
    first = hash_of_headers()
    other_contents = {**headers, "tensorflow/compiler/xla/shape.h": b"\n"}
    monkeypatch.setattr(build_environment, "compat_headers", lambda: other_contents)
    assert hash_of_headers() != first
    other_names = {f"a/{name}": contents for name, contents in headers.items()}
    monkeypatch.setattr(build_environment, "compat_headers", lambda: other_names)
    assert hash_of_headers() != first


def test_a_wheel_of_tfdl_contains_the_headers(tmp_path):
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / "setup.cfg").exists():
        pytest.skip("not a checkout")
    source = tmp_path / "source"
    source.mkdir()
    for name in ("setup.cfg", "pyproject.toml"):
        shutil.copy(checkout / name, source)
    shutil.copytree(checkout / "tfdl", source / "tfdl", ignore=shutil.ignore_patterns("__pycache__"))
    (source / "README.md").write_text("tfdl")
    (source / "LICENSE").write_text("tfdl")
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), "."]
    subprocess.run(pip, cwd=source, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("tfdl-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    prefix = "tfdl/horovod_build/compat_headers/"
    headers = {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
    assert headers == HEADERS


# The build


def test_the_users_variables_are_kept_except_those_that_change_the_build(tmp_path):
    user_variables = {
        "PATH": "/usr/bin",
        "CXXFLAGS": "-O1",
        "PYTHONPATH": "/mine",
        "MAKEFLAGS": "--jobserver-auth=3,4",
        "HOROVOD_RANK": "0",
        "HOROVOD_WITHOUT_GLOO": "1",
        "HOROVOD_BUILD_ARCH_FLAGS": "-mavx",
        "CCL_ROOT": "/opt/intel",
    }
    variables = build_variables(BUILD, tmp_path, user_variables)
    assert variables["CXXFLAGS"] == f"-O1 -iquote {tmp_path / 'headers'}"
    assert variables["PATH"].endswith(":/usr/bin")
    assert variables["PYTHONPATH"] == f"{tmp_path / 'requirements'}:/mine"
    assert variables["MAKEFLAGS"] == f"-j{len(os.sched_getaffinity(0))}"
    assert variables["HOROVOD_BUILD_ARCH_FLAGS"] == "-mavx"
    assert variables["HOROVOD_WITHOUT_MPI"] == "1"
    assert not {"HOROVOD_RANK", "HOROVOD_WITHOUT_GLOO", "CCL_ROOT", "HOROVOD_GPU"} & set(variables)
    mpi = build_variables(replace(BUILD, mpi=Mpi("", "")), tmp_path, user_variables)
    assert mpi["HOROVOD_WITH_MPI"] == "1"
    gpu = build_variables(replace(BUILD, cuda=CUDA, nccl=NCCL), tmp_path, user_variables)
    assert gpu["HOROVOD_GPU_OPERATIONS"] == "NCCL"
    assert gpu["HOROVOD_CUDA_HOME"] == "/usr/local/cuda-12.5"
    assert gpu["PATH"].startswith("/usr/local/cuda-12.5/bin:")


def test_only_a_whole_wheel_of_the_right_version_is_taken_from_the_cache(tmp_path):
    wheel = tmp_path / f"horovod-{BUILD.version}-cp311-cp311-linux_x86_64.whl"
    assert wheel_build.cached_wheel(tmp_path, BUILD.version) is None
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("horovod/__init__.py", "x = 1\n" * 1000)
    assert wheel_build.cached_wheel(tmp_path, BUILD.version) == wheel
    assert wheel_build.cached_wheel(tmp_path, "0.28.1+other") is None
    content = wheel.read_bytes()
    half = content[: len(content) // 2]
    changed = content.replace(b"x = 1", b"x = 2", 1)
    for damaged in (half, changed):
        wheel.write_bytes(damaged)
        assert wheel_build.cached_wheel(tmp_path, BUILD.version) is None


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["ERROR: pip's dependency resolver does", "  a.cc:3:1: error: no x", "b.cc:1:1: error: y", "ERROR: Failed"],
         "a.cc:3:1: error: no x"),
        (["k.h:1:2: error: #error -- unsupported GNU version!"], "k.h:1:2: error: #error -- unsupported GNU version!"),
        (["fine", "ERROR: No matching distribution found for wheel", "more"],
         "ERROR: No matching distribution found for wheel"),
        (["Traceback", "[1]<stderr>:tfdl.errors.UserError: no Horovod", "x"],
         "[1]<stderr>:tfdl.errors.UserError: no Horovod"),
        (["[1,0]<stderr>:ImportError: libmpi.so.40"], "[1,0]<stderr>:ImportError: libmpi.so.40"),
        (["$ sh -c 'a: error: b'", "only", "words"], "words"),
        ([], "no output"),
    ],
)  # fmt: skip
def test_the_first_error_of_a_log(tmp_path, lines, expected):
    log = tmp_path / "log"
    log.write_text("\n".join(lines))
    assert first_error(log) == expected


def test_a_command_that_takes_too_long_is_ended_with_its_children(tmp_path):
    ticks = []
    command = ["sh", "-c", "sleep 77 & echo $! > child; wait"]
    code = run_logged(command, tmp_path / "log", os.environ, tmp_path, 0.5, ticks.append)
    assert code is None
    assert ticks
    child = int((tmp_path / "child").read_text())
    assert ends(child, within=10.0)


def ends(process, within):
    """Whether a process ends within so many seconds. A zombie, which waits for its parent, has ended."""
    limit = time.monotonic() + within
    while time.monotonic() < limit:
        try:
            _, _, state, *_ = Path(f"/proc/{process}/stat").read_text().split()
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_a_failed_build_names_its_log_and_the_first_error(tmp_path, monkeypatch):
    fake = "printf 'op.cc:7:3: error: no such thing\\nERROR: Failed to build\\n'; exit 1"
    monkeypatch.setattr(wheel_build, "_pip", lambda _: ["sh", "-c", fake])
    with pytest.raises(RunError, match=r"building Horovod failed: op.cc:7:3: error: no such thing; .*/build.log"):
        wheel_build.build_wheel(BUILD, tmp_path, dict(os.environ), lambda _: None)
    assert "no such thing" in (tmp_path / "build.log").read_text()
    assert wheel_build.cached_wheel(tmp_path, BUILD.version) is None


# The whole installation


def test_a_second_install_waits_and_reports_it(tmp_path):
    reports: list[str] = []
    first = FileLock(tmp_path / "x.lock")
    first.acquire()
    entered = threading.Event()

    def second() -> None:
        with install._lock(tmp_path / "x.lock", reports.append):
            entered.set()

    thread = threading.Thread(target=second)
    thread.start()
    assert not entered.wait(0.3)
    assert reports == ["waiting for another install-horovod to finish"]
    first.release()
    thread.join(10)
    assert entered.is_set()


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()  # where the cache should be a folder
    monkeypatch.setenv("TFDL_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"cannot write to the cache .*/file \(.*\): set TFDL_CACHE_DIR"):
        install._cache_folder()


def test_importing_it_imports_neither_tensorflow_nor_horovod():
    program = "import sys, tfdl.horovod_build.install; print({'tensorflow', 'keras', 'horovod'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
