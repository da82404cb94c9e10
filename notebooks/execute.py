"""Executes notebooks from top to bottom, each in an empty folder, and saves them with what they show.

    python notebooks/execute.py                  # all of them, as `make notebooks` does
    python notebooks/execute.py 02_rnn_language_model.ipynb

A notebook that fails is left as it was.
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
# Of a cell, in seconds: far above what any takes, so that a hang ends.
CELL_TIMEOUT = 300

# Colours, which programs write for a terminal: a diff is not one.
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def notebooks() -> list[Path]:
    """All of them, in the order in which a student reads them."""
    return sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))


def execute(path: Path, folder: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs that its code has now.

    Args:
        path: the notebook, which is only read.
        folder: the working directory of its cells.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as sockets:  # files in place of ports, which others could reach
        kernel = {"transport": "ipc", "connection_file": str(Path(sockets) / "kernel.json")}
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            config=Config(KernelManager=kernel),
            timeout=CELL_TIMEOUT,
            record_timing=False,  # times of day would make every diff a large one
            resources={"metadata": {"path": str(folder)}},
        )
        client.execute(env=_environment())
    notebook.metadata.pop("language_info", None)  # of the interpreter that happened to be used
    for cell in notebook.cells:
        cell.metadata.clear()
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
    return notebook


def save(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Writes the file whole or not at all."""
    nbformat.validate(notebook)
    aside = path.with_suffix(".part")
    nbformat.write(notebook, aside)
    aside.replace(path)


def _environment() -> dict[str, str]:
    """With this interpreter's programs (tfdl, horovodrun) first, as in an activated environment."""
    programs = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}


def _joined(outputs: Sequence[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Pieces of one stream as one output: where a program's lines are cut depends on the moment."""
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
    """Executes and saves these notebooks of the folder, or all."""
    for path in [FOLDER / name for name in names] or notebooks():
        begin = time.time()
        with tempfile.TemporaryDirectory() as folder:
            save(execute(path, Path(folder)), path)
        print(f"{path.name}: {time.time() - begin:.0f} s, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
