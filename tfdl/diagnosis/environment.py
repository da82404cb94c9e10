"""Python, TensorFlow, Keras and devices."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata

from tfdl.diagnosis.finding import Finding

_PYTHONS = ((3, 11), (3, 13))


def environment() -> Iterator[Finding]:
    """What training imports, and what it computes on."""
    yield from _python()
    yield from _package("tensorflow", "2.21")
    yield from _package("keras", "3.15")
    yield from _backend()
    yield from _devices()


def count_nvidia() -> int:
    """NVIDIA GPUs that the driver sees; 0 when they are hidden."""
    if shutil.which("nvidia-smi") is None or os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return 0
    done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return sum(line.startswith("GPU ") for line in done.stdout.splitlines()) if done.returncode == 0 else 0


def _python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if _PYTHONS[0] <= sys.version_info[:2] <= _PYTHONS[1]:
        yield Finding("Python", "ok", f"{version} ({sys.executable})")
    else:
        yield Finding("Python", "error", version, "make the environment with Python 3.11, 3.12 or 3.13")


def _package(name: str, series: str) -> Iterator[Finding]:
    mend = f"pip install '{name}~={series}.0'"
    try:
        version = metadata.version(name)
        __import__(name)
    except Exception as error:  # a broken installation fails in many ways
        first = (str(error).strip().splitlines() or [""])[0]
        yield Finding(name, "error", f"cannot be imported ({type(error).__name__}: {first})", mend)
        return
    fits = version.startswith(f"{series}.")
    yield Finding(name, "ok" if fits else "warning", version, "" if fits else f"tested with {series}: {mend}")


def _backend() -> Iterator[Finding]:
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        yield Finding("Keras backend", "error", backend, "unset KERAS_BACKEND")


def _devices() -> Iterator[Finding]:
    try:
        import tensorflow as tf
    except Exception:  # said above
        return
    cores = len(os.sched_getaffinity(0))
    present, seen = count_nvidia(), len(tf.config.list_physical_devices("GPU"))
    if present and not seen:
        yield Finding("GPUs", "error", f"{present} here, TensorFlow sees none", "pip install 'tfdl[cuda]'")
    else:
        yield Finding("GPUs", "ok", f"{seen}" if seen else f"none, training uses {cores} CPU cores")
