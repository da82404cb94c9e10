"""Loads a SavedModel in a process that has TensorFlow and nothing of tfdl, and returns its answers."""

import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tfdl.errors import RunError

Arrays = dict[str, np.ndarray]
"""Inputs or outputs of a signature by name."""

# Packages that the process must not find, because a server of the SavedModel does not have them. Keras imports the last
# four if it can. Without Keras and them, TensorFlow is imported in half the time.
_HIDDEN_PACKAGES = ("tfdl", "horovod", "__editable__", "keras", "sklearn", "matplotlib", "pandas", "IPython")
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
inputs = {}
with numpy.load(inputs_file) as arrays:
    for key in arrays.files:
        signature, name = key.split("/", 1)
        inputs.setdefault(signature, {})[name] = tensorflow.constant(arrays[key])
signatures = tensorflow.saved_model.load(folder).signatures
answers = {}
for signature, arguments in inputs.items():
    for name, value in signatures[signature](**arguments).items():
        array = value.numpy()
        answers[f"{signature}/{name}"] = array.astype("S") if value.dtype == tensorflow.string else array
numpy.savez(outputs_file, **answers)
"""


def answers_of_saved_model(folder: Path, inputs: Mapping[str, Arrays]) -> dict[str, Arrays]:
    """Returns what a SavedModel answers in a separate process without tfdl and Horovod.

    Args:
        folder: of the SavedModel.
        inputs: signature -> its arguments by name.

    Returns:
        Signature -> its outputs by name.

    Raises:
        RunError: the process could not load or call the SavedModel.
    """
    with tempfile.TemporaryDirectory(prefix="tfdl-parity-") as name:
        work = Path(name)
        inputs_file = work / "inputs.npz"
        outputs_file = work / "outputs.npz"
        np.savez(inputs_file, allow_pickle=False, **_joined(inputs))
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
            return _parted(outputs)


def _joined(arrays: Mapping[str, Arrays]) -> Arrays:
    """The arrays of all signatures, as one file stores them."""
    return {f"{signature}/{name}": array for signature, named in arrays.items() for name, array in named.items()}


def _parted(arrays: Mapping[str, np.ndarray]) -> dict[str, Arrays]:
    """The reverse of ``_joined``."""
    parted: dict[str, Arrays] = {}
    for key, array in arrays.items():
        signature, name = key.split("/", 1)
        parted.setdefault(signature, {})[name] = array
    return parted


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
