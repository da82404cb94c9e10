"""Loads a SavedModel in a process that has TensorFlow and nothing of tfdl, and returns its answers."""

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy as np

from tfdl.errors import RunError

# Packages that the process must not find, because a server of the SavedModel does not have them.
_HIDDEN_PACKAGES = ("tfdl", "horovod", "__editable__")
# Environment variables that the process does not get: of Python's paths, and of the launcher.
_HIDDEN_VARIABLES = ("PYTHON", "HOROVOD", "OMPI_", "PMI_")

_PROGRAM = """\
import gc, importlib.util, sys
gc.disable()  # saves time: imports make no garbage, and the rest of this program little
for name in ("tfdl", "horovod"):
    if importlib.util.find_spec(name) is not None:
        sys.exit(f"{name} can be imported in the process that must not know it")
import numpy, tensorflow
folder, inputs_file, outputs_file = sys.argv[1:]
serve = tensorflow.saved_model.load(folder).signatures["serving_default"]
with numpy.load(inputs_file) as inputs:
    outputs = serve(**{name: tensorflow.constant(inputs[name]) for name in inputs.files})
arrays = {}
for name, value in outputs.items():
    array = value.numpy()
    arrays[name] = array.astype("S") if value.dtype == tensorflow.string else array
numpy.savez(outputs_file, **arrays)
"""


def answers_of_saved_model(folder: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the outputs of ``serving_default``, computed by a separate process without tfdl and Horovod.

    Args:
        folder: of the SavedModel.
        inputs: the arguments of the signature, by name.

    Raises:
        RunError: the process could not load or call the SavedModel.
    """
    with tempfile.TemporaryDirectory(prefix="tfdl-parity-") as name:
        work = Path(name)
        inputs_file = work / "inputs.npz"
        outputs_file = work / "outputs.npz"
        np.savez(inputs_file, allow_pickle=False, **inputs)
        program = _with_packages(_link_packages(work))
        # -I ignores the environment and the user's packages; -S ignores the installed ones, which would include tfdl.
        command = [sys.executable, "-I", "-S", "-c", program]
        arguments = [str(folder.absolute()), str(inputs_file), str(outputs_file)]
        done = subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            env={**_clean_environment(), "TF_CPP_MIN_LOG_LEVEL": "3"},
            cwd=work,
            check=False,
        )
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise RunError(f"the SavedModel cannot be used in a clean process: {lines[-1]}")
        with np.load(outputs_file) as outputs:
            return {key: outputs[key] for key in outputs.files}


def _link_packages(work: Path) -> Path:
    """Makes a folder of links to all installed packages, except tfdl and Horovod."""
    links = work / "packages"
    links.mkdir()
    # Two names of one folder, on most systems.
    folders = dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))
    for folder in folders:
        for entry in Path(folder).iterdir():
            link = links / entry.name
            if not entry.name.startswith(_HIDDEN_PACKAGES) and not link.exists():
                link.symlink_to(entry)
    return links


def _with_packages(packages: Path) -> str:
    """The program, after a line that lets it import from a folder."""
    return f"import sys; sys.path.append({str(packages)!r})\n{_PROGRAM}"


def _clean_environment() -> dict[str, str]:
    """The environment without the launcher's variables and without Python's paths."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_HIDDEN_VARIABLES)}
