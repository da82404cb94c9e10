"""Executes notebooks from top to bottom, each in an empty folder, and saves them with their outputs.

    python notebooks/execute.py                  # all of them, as `make notebooks` does
    python notebooks/execute.py 02_rnn_language_model.ipynb

A notebook that fails is not changed.
"""

import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

FOLDER = Path(__file__).parent
# Seconds for one cell, far more than any takes: it only ends a notebook that hangs.
CELL_TIMEOUT = 300

# Escape sequences for colours in a terminal. They would make diffs unreadable.
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def notebooks() -> list[Path]:
    """Returns all notebooks, in the order in which a student reads them."""
    return sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))


def execute(path: Path, folder: Path) -> nbformat.NotebookNode:
    """Executes a notebook and returns it with its new outputs.

    Args:
        path: the notebook, which is only read.
        folder: the working directory of its cells.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    # The kernel listens on sockets in a private folder. Other users of the machine could connect to ports.
    with tempfile.TemporaryDirectory() as sockets:
        kernel = {"transport": "ipc", "connection_file": str(Path(sockets) / "kernel.json")}
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            config=Config(KernelManager=kernel),
            timeout=CELL_TIMEOUT,
            record_timing=False,  # times of day would change in every diff
            resources={"metadata": {"path": str(folder)}},
        )
        client.execute(env=_environment())
    notebook.metadata.pop("language_info", None)  # it has the version of the interpreter
    for cell in notebook.cells:
        cell.metadata.clear()
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
    return notebook


def save(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Writes a notebook atomically.

    Args:
        notebook: a valid notebook.
        path: the file, which is replaced.
    """
    nbformat.validate(notebook)
    temporary = path.with_suffix(".part")
    nbformat.write(notebook, temporary)
    temporary.replace(path)


def _environment() -> dict[str, str]:
    """Puts this interpreter's programs (tfdl, horovodrun) first on PATH, as in an activated environment."""
    programs = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}


def _joined(outputs: Sequence[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Joins consecutive pieces of one stream, and removes escape sequences.

    Where a program's output is cut into pieces depends on timing, and would change in every diff.
    """
    joined: list[nbformat.NotebookNode] = []
    for output in outputs:
        if output.output_type == "stream" and joined and joined[-1].get("name") == output.name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    for output in joined:
        if output.output_type == "stream":
            output.text = _ESCAPES.sub("", output.text)
    return joined


def main(names: Sequence[str]) -> None:
    """Executes and saves the notebooks of these names, or all of them."""
    paths = [FOLDER / name for name in names] or notebooks()
    for path in paths:
        start = time.time()
        with tempfile.TemporaryDirectory() as folder:
            save(execute(path, Path(folder)), path)
        print(f"{path.name}: {time.time() - start:.0f} s, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
