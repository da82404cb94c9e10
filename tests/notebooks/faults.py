"""What must not be in a notebook that is committed."""

import re
from collections.abc import Iterator
from typing import Any

# Folders of somebody's machine, and addresses of objects: they differ with every execution.
_PATH = re.compile(r"(?<![\w.:/])/(?:home|root|work|tmp|Users|usr|var|opt|mnt|private)/\w")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+>")
_ID = re.compile(r"[a-z][a-z0-9-]{2,}")


def faults(notebook: Any) -> list[str]:
    """One line for each fault, beginning with the cell's id; none for a notebook as it should be."""
    cells = notebook.cells
    found = [f"{cell.id}: no name of small letters" for cell in cells if not _ID.fullmatch(cell.id)]
    found += [f"{cell.id}: metadata {dict(cell.metadata)}" for cell in cells if cell.metadata]
    found += [f"{cell.id}: a path of this machine" for cell in cells if _PATH.search(cell.source)]
    code = [cell for cell in cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, start=1):
        found += [f"{cell.id}: {fault}" for fault in _faults_of(cell, number)]
    return found


def kinds(cell: Any) -> list[str]:
    """What a cell shows: ``stdout``, ``stderr``, ``error``, ``image/png`` or ``text``, in order."""
    return [_kind(output) for output in cell.outputs]


def _kind(output: Any) -> str:
    if output.output_type == "stream":
        return str(output.name)
    if output.output_type == "error":
        return "error"
    return "image/png" if "image/png" in output.data else "text"


def _faults_of(cell: Any, number: int) -> Iterator[str]:
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
