"""Asks a SavedModel for its answers in a process that knows TensorFlow and nothing of ours."""

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy as np

from tfdl.errors import RunError

# What must not be importable there: whoever serves the SavedModel has none of it.
_HIDDEN = ("tfdl", "horovod", "__editable__")

_PROGRAM = """\
import gc, importlib.util, sys
gc.disable()  # imports make no garbage, and what follows little
for name in ("tfdl", "horovod"):
    if importlib.util.find_spec(name) is not None:
        sys.exit(f"{name} can be imported in the process that must not know it")
import numpy, tensorflow
folder, asked, answers = sys.argv[1:]
serve = tensorflow.saved_model.load(folder).signatures["serving_default"]
with numpy.load(asked) as inputs:
    outputs = serve(**{name: tensorflow.constant(inputs[name]) for name in inputs.files})
numpy.savez(answers, **{
    name: value.numpy() if value.dtype != tensorflow.string else value.numpy().astype("S")
    for name, value in outputs.items()
})
"""


def answers_of_saved_model(folder: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs of ``serving_default`` for ``inputs``, from a clean process.

    Raises:
        RunError: the SavedModel cannot be loaded or asked there.
    """
    with tempfile.TemporaryDirectory(prefix="tfdl-parity-") as name:
        work = Path(name)
        asked, answers = work / "inputs.npz", work / "outputs.npz"
        np.savez(asked, allow_pickle=False, **inputs)
        command = [sys.executable, "-I", "-S", "-c", _with_path(_packages_without_ours(work)), str(folder.absolute())]
        done = subprocess.run(
            [*command, str(asked), str(answers)],
            capture_output=True,
            text=True,
            env={**_plain_environment(), "TF_CPP_MIN_LOG_LEVEL": "3"},
            cwd=work,
            check=False,
        )
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise RunError(f"the SavedModel cannot be used in a clean process: {lines[-1]}")
        with np.load(answers) as found:
            return {key: found[key] for key in found.files}


def _packages_without_ours(work: Path) -> Path:
    """A folder of links to every installed package but ours."""
    links = work / "packages"
    links.mkdir()
    for place in dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))):
        for entry in Path(place).iterdir():
            if not entry.name.startswith(_HIDDEN) and not (links / entry.name).exists():
                (links / entry.name).symlink_to(entry)
    return links


def _with_path(packages: Path) -> str:
    return f"import sys; sys.path.append({str(packages)!r})\n{_PROGRAM}"


def _plain_environment() -> dict[str, str]:
    """Without the launcher's variables and without paths of the caller's own."""
    hidden = ("PYTHON", "HOROVOD", "OMPI_", "PMI_")
    return {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
