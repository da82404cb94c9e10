"""Finds what a committed notebook must not contain."""

import re
from collections.abc import Iterator
from typing import Any

# Folders of one machine and addresses of objects, which differ with every execution.
_PATH = re.compile(r"(?<![\w.:/])/(?:home|root|work|tmp|Users|usr|var|opt|mnt|private)/\w")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+>")
_ID = re.compile(r"[a-z][a-z0-9-]{2,}")


def faults(notebook: Any) -> list[str]:
    """Returns one line for each fault, which begins with the cell's id."""
    lines = []
    for cell in notebook.cells:
        lines += [f"{cell.id}: {fault}" for fault in _faults_of_cell(cell)]
    code_cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code_cells, start=1):
        lines += [f"{cell.id}: {fault}" for fault in _faults_of_outputs(cell, number)]
    return lines


def _faults_of_cell(cell: Any) -> Iterator[str]:
    if not _ID.fullmatch(cell.id):
        yield "no name of small letters"
    if cell.metadata:
        yield f"metadata {dict(cell.metadata)}"
    if _PATH.search(cell.source):
        yield "a path of this machine"


def kinds(cell: Any) -> list[str]:
    """The kinds of a cell's outputs, in order: ``stdout``, ``stderr``, ``error``, ``image/png`` or ``text``."""
    return [_kind(output) for output in cell.outputs]


def _kind(output: Any) -> str:
    if output.output_type == "stream":
        return str(output.name)
    if output.output_type == "error":
        return "error"
    return "image/png" if "image/png" in output.data else "text"


def _faults_of_outputs(cell: Any, number: int) -> Iterator[str]:
    """The faults of a code cell that should have been executed as this number."""
    if cell.execution_count != number:
        yield f"executed as {cell.execution_count}, expected {number}"
    shown = kinds(cell)
    if "plt.show()" in cell.source and "image/png" not in shown:
        yield "shows no plot"
    if ("print(" in cell.source or cell.source.startswith("%%")) and "stdout" not in shown:
        yield "prints nothing"
    for kind in ("stderr", "error"):
        if kind in shown:
            yield f"has {kind}"
    for output in cell.outputs:
        text = output.get("text", "") + output.get("data", {}).get("text/plain", "")
        if _PATH.search(text):
            yield "shows a path of this machine"
        if _ADDRESS.search(text):
            yield "shows an address"
        if "\x1b" in text:
            yield "shows colours of a terminal"
