"""Converts a graph to int8, in a process that may crash: TensorFlow's calibration does, for some loops."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.errors import RunError
from tfdl.tasks.served_signature import DEFAULT_SIGNATURE

# Far more than any conversion here takes. A process that waits for ever would look like a slow export.
_SECONDS = 3_600
# Signals that a process gets for what it does. Others, such as SIGKILL where memory is short, come from outside.
_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)
_PROGRAM = """\
import sys
import numpy
import tensorflow

saved_model, samples, target, signature = sys.argv[1:]
with numpy.load(samples) as arrays:
    inputs = {name: arrays[name] for name in arrays.files}

def one_by_one():
    for number in range(len(next(iter(inputs.values())))):
        yield {name: values[number : number + 1] for name, values in inputs.items()}

converter = tensorflow.lite.TFLiteConverter.from_saved_model(saved_model, signature_keys=[signature])
converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
converter.representative_dataset = one_by_one
content = converter.convert()
with open(target, "wb") as file:
    file.write(content)
"""


class ConverterCrashError(RunError):
    """TensorFlow's converter ended its process."""


def converted_with_calibration(module: tf.Module, function: Any, calibration: dict[str, np.ndarray]) -> bytes:
    """Makes int8 of the weights and of the numbers between layers.

    Args:
        module: tracks the function's variables.
        function: the concrete function.
        calibration: inputs by name. The numbers between layers get the ranges that they have on these.

    Raises:
        ConverterCrashError: the converter crashed.
        RunError: the converter failed, or was ended from outside.
    """
    with tempfile.TemporaryDirectory(prefix="tfdl-litert-") as name:
        work = Path(name)
        tf.saved_model.save(module, str(work / "model"), signatures={DEFAULT_SIGNATURE: function})
        np.savez(work / "samples.npz", allow_pickle=False, **calibration)
        words = [work / "model", work / "samples.npz", work / "model.tflite", DEFAULT_SIGNATURE]
        try:
            done = subprocess.run(
                [sys.executable, "-c", _PROGRAM, *map(str, words)],
                capture_output=True,
                text=True,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
                cwd=work,  # for the core dump of a crash
                check=False,
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise RunError(f"the conversion to int8 did not end within {_SECONDS} s") from error
        if done.returncode < 0:
            raise _ended_by(-done.returncode)
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise RunError(f"the conversion to int8 failed: {lines[-1]}")
        return (work / "model.tflite").read_bytes()


def _ended_by(number: int) -> RunError:
    """The error of a process that a signal ended."""
    known = {known.value: known.name for known in signal.Signals}
    name = known.get(number, f"signal {number}")
    if number in _CRASHES:
        return ConverterCrashError(f"TensorFlow's converter crashes ({name}) when it measures their ranges")
    return RunError(
        f"the conversion to int8 was ended by {name}, by another process or for lack of memory; export again with more"
        " memory, or use --precision float16"
    )
