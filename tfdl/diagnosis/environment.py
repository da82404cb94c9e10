"""Checks of Python, TensorFlow, Keras and the devices."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata

from tfdl.diagnosis.finding import Finding

_FIRST_PYTHON = (3, 11)
_LAST_PYTHON = (3, 13)


def check_environment() -> Iterator[Finding]:
    """Checks the packages that training imports, and the devices that it computes on."""
    yield from _check_python()
    yield from _check_package("tensorflow", "2.21")
    yield from _check_package("keras", "3.15")
    yield from _check_backend()
    yield from _check_devices()


def count_nvidia() -> int:
    """Counts the NVIDIA GPUs that the driver lists; 0 when ``CUDA_VISIBLE_DEVICES`` hides them."""
    if shutil.which("nvidia-smi") is None or os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return 0
    completed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    if completed.returncode != 0:
        return 0
    return sum(line.startswith("GPU ") for line in completed.stdout.splitlines())


def _check_python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if _FIRST_PYTHON <= sys.version_info[:2] <= _LAST_PYTHON:
        yield Finding("Python", "ok", f"{version} ({sys.executable})")
    else:
        yield Finding("Python", "error", version, "make the environment with Python 3.11, 3.12 or 3.13")


def _check_package(name: str, series: str) -> Iterator[Finding]:
    """Imports a package and compares its version with a series such as ``2.21``."""
    install = f"pip install '{name}~={series}.0'"
    try:
        version = metadata.version(name)
        __import__(name)
    except Exception as error:  # a broken installation can raise any error
        lines = str(error).strip().splitlines()
        first_line = lines[0] if lines else ""
        yield Finding(name, "error", f"cannot be imported ({type(error).__name__}: {first_line})", install)
        return
    if version.startswith(f"{series}."):
        yield Finding(name, "ok", version)
    else:
        yield Finding(name, "warning", version, f"tested with {series}: {install}")


def _check_backend() -> Iterator[Finding]:
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        yield Finding("Keras backend", "error", backend, "unset KERAS_BACKEND")


def _check_devices() -> Iterator[Finding]:
    try:
        import tensorflow as tf
    except Exception:  # _check_package has reported it
        return
    cores = len(os.sched_getaffinity(0))
    installed = count_nvidia()
    visible = len(tf.config.list_physical_devices("GPU"))
    if installed and not visible:
        yield Finding("GPUs", "error", f"{installed} installed, TensorFlow finds none", "pip install 'tfdl[cuda]'")
    elif visible:
        yield Finding("GPUs", "ok", f"{visible}")
    else:
        yield Finding("GPUs", "ok", f"none, training uses {cores} CPU core{'' if cores == 1 else 's'}")
