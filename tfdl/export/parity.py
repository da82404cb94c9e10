"""Calls an exported model in a process that has nothing of tfdl, and returns its answers."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tfdl.errors import RunError, cause_in, in_one_line

Arrays = dict[str, np.ndarray]
"""Inputs or outputs of a signature by name."""

TRAINING_PACKAGES = ("tfdl", "horovod", "__editable__")
"""Beginnings of the names of packages that a model must not need, because who uses it may not have them."""
# Environment variables that the process does not get: of Python's paths, and of the launcher.
_HIDDEN_VARIABLES = ("PYTHON", "HOROVOD", "OMPI_", "PMI_")
# Far more than any model here takes. A process that waits for ever would look like a slow export.
_SECONDS = 1_800

# Begins the line with a program's error.
_MARKER = "error of the program: "

# The program stands between these two. It gets `inputs`, by signature and name, and `arguments`; it fills `answers`.
_BEFORE = """\
import gc, importlib.util, json, sys
gc.disable()  # saves time: imports make no garbage, and the rest of the program little
def report(kind, error, _):
    print({marker!r} + json.dumps([kind.__name__, str(error)]), file=sys.stderr)
sys.excepthook = report
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
for case, named in inputs.items():
    signature = case.partition("#")[0]
    outputs = signatures[signature](**{name: tensorflow.constant(value) for name, value in named.items()})
    answers[case] = {
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
        inputs: case -> the arguments of its signature by name. A case is a signature's name, or one with a number, such
            as ``generate#1``.

    Returns:
        Case -> the signature's outputs by name.

    Raises:
        RunError: the process could not load or call the SavedModel.
    """
    return answers_in_clean_process(
        "the SavedModel", _SAVED_MODEL, [folder], inputs, hidden=(*TRAINING_PACKAGES, *_NEEDLESS_FOR_SAVED_MODELS)
    )


def signature_of(case: str) -> str:
    """The signature that a case of ``answers_of_saved_model`` asks.

    Args:
        case: such as ``generate#1``.
    """
    return case.partition("#")[0]


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
        command = [sys.executable, "-I", "-S", "-c", _before(packages) + program + _AFTER]
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
            cause = _cause_of_end(done.stderr, done.returncode)
            raise RunError(f"{what} cannot be used in a clean process: {cause}")
        with np.load(outputs_file) as outputs:
            return _parted(outputs)


def _before(packages: str) -> str:
    """The beginning of a program that finds these packages."""
    return _BEFORE.format(packages=packages, marker=_MARKER)


def _cause_of_end(output: str, code: int) -> str:
    """Why a process failed, in one line.

    Args:
        output: what it printed as errors.
        code: its exit code; minus the number of the signal that ended it.
    """
    for line in reversed(output.splitlines()):
        if line.startswith(_MARKER):
            name, message = json.loads(line.removeprefix(_MARKER))
            return in_one_line(cause_in(name, message))
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    lines = output.strip().splitlines() or [f"exit code {code}"]
    return lines[-1]


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
    for folder in _folders_of_packages():
        for entry in folder.iterdir():
            link = links / entry.name
            if not entry.name.startswith(tuple(hidden)) and not link.exists():
                link.symlink_to(entry)
    return links


def _folders_of_packages() -> list[Path]:
    """Where this process finds installed packages, first ones first.

    Besides the environment's own folder, these may be the user's, the system's, and those of a cluster's modules on
    PYTHONPATH. Folders of code that nobody installed are not among them.
    """
    own = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]  # two names of one folder, on most systems
    others = [name for name in sys.path if any(Path(name or ".").glob("*.dist-info"))]
    return [Path(name).absolute() for name in dict.fromkeys([*own, *others]) if Path(name).is_dir()]


def _clean_environment() -> dict[str, str]:
    """The environment without the launcher's variables, Python's paths and GPUs, whose kernels are less exact."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_HIDDEN_VARIABLES)}
    return {**kept, "CUDA_VISIBLE_DEVICES": "-1"}
