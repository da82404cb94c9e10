"""Calls an exported model in a process that has nothing of tfdl, and returns its answers."""

import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tfdl.errors import RunError

Arrays = dict[str, np.ndarray]
"""Inputs or outputs of a signature by name."""

TRAINING_PACKAGES = ("tfdl", "horovod", "__editable__")
"""Beginnings of the names of packages that a model must not need, because who uses it may not have them."""
# Environment variables that the process does not get: of Python's paths, and of the launcher.
_HIDDEN_VARIABLES = ("PYTHON", "HOROVOD", "OMPI_", "PMI_")
# Far more than any model here takes. A process that waits for ever would look like a slow export.
_SECONDS = 1_800

# The program stands between these two. It gets `inputs`, by signature and name, and `arguments`; it fills `answers`.
_BEFORE = """\
import gc, importlib.util, sys
gc.disable()  # saves time: imports make no garbage, and the rest of the program little
sys.path.append({packages!r})
for name in ("tfdl", "horovod"):
    if importlib.util.find_spec(name) is not None:
        sys.exit(f"{{name}} can be imported in the process that must not know it")
import numpy
*arguments, inputs_file, outputs_file = sys.argv[1:]
inputs = {{}}
with numpy.load(inputs_file) as arrays:
    for key in arrays.files:
        signature, name = key.split("/", 1)
        inputs.setdefault(signature, {{}})[name] = arrays[key]
answers = {{}}
"""
_AFTER = """
arrays = {}
for signature, named in answers.items():
    arrays.update({f"{signature}/{name}": value for name, value in named.items()})
numpy.savez(outputs_file, **arrays)
"""
_SAVED_MODEL = """\
import tensorflow
signatures = tensorflow.saved_model.load(arguments[0]).signatures
for signature, named in inputs.items():
    outputs = signatures[signature](**{name: tensorflow.constant(value) for name, value in named.items()})
    answers[signature] = {
        name: value.numpy().astype("S") if value.dtype == tensorflow.string else value.numpy()
        for name, value in outputs.items()
    }
"""
# Keras imports the last four if it can. Without Keras and them, TensorFlow is imported in half the time.
_NEEDLESS_FOR_SAVED_MODELS = ("keras", "sklearn", "matplotlib", "pandas", "IPython")


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
    return answers_in_clean_process(
        "the SavedModel", _SAVED_MODEL, [folder], inputs, hidden=(*TRAINING_PACKAGES, *_NEEDLESS_FOR_SAVED_MODELS)
    )


def answers_in_clean_process(
    what: str,
    program: str,
    arguments: Sequence[Path | str],
    inputs: Mapping[str, Arrays],
    *,
    hidden: Sequence[str] = TRAINING_PACKAGES,
) -> dict[str, Arrays]:
    """Returns what a model answers in a separate process.

    Args:
        what: the model in messages, such as ``"the SavedModel"``.
        program: Python code that reads ``inputs`` and ``arguments``, and fills the dictionary ``answers``: signature ->
            arrays by name. Strings are bytes.
        arguments: paths, which are made absolute, and other words for the program.
        inputs: signature -> its arguments by name.
        hidden: beginnings of the names of installed packages that the process must not find.

    Returns:
        Signature -> its outputs by name.

    Raises:
        RunError: the process failed, or did not end.
    """
    with tempfile.TemporaryDirectory(prefix="tfdl-parity-") as name:
        work = Path(name)
        inputs_file = work / "inputs.npz"
        outputs_file = work / "outputs.npz"
        np.savez(inputs_file, allow_pickle=False, **_joined(inputs))
        packages = str(_link_packages(work, hidden))
        # -I ignores the environment and the user's packages; -S ignores the installed ones, which would include tfdl.
        command = [sys.executable, "-I", "-S", "-c", _BEFORE.format(packages=packages) + program + _AFTER]
        words = [str(word.absolute()) if isinstance(word, Path) else word for word in arguments]
        try:
            done = subprocess.run(
                [*command, *words, str(inputs_file), str(outputs_file)],
                capture_output=True,
                text=True,
                env={**_clean_environment(), "TF_CPP_MIN_LOG_LEVEL": "3"},
                cwd=work,
                check=False,
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise RunError(f"{what} gave no answer in a clean process within {_SECONDS} s") from error
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise RunError(f"{what} cannot be used in a clean process: {lines[-1]}")
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


def _link_packages(work: Path, hidden: Sequence[str]) -> Path:
    """Makes a folder of links to all installed packages, except the hidden ones."""
    links = work / "packages"
    links.mkdir()
    # Two names of one folder, on most systems.
    folders = dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))
    for folder in folders:
        for entry in Path(folder).iterdir():
            link = links / entry.name
            if not entry.name.startswith(tuple(hidden)) and not link.exists():
                link.symlink_to(entry)
    return links


def _clean_environment() -> dict[str, str]:
    """The environment without the launcher's variables and without Python's paths."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_HIDDEN_VARIABLES)}
