"""Whether a SavedModel may run: a SavedModel is a program, which could read and write files."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfdl.errors import UserError
from tfdl.serving.operations import COMPUTING, READING_AND_WRITING_WEIGHTS

# TensorFlow's functions end with a number. A function with another name could be mistaken for an operation.
_FUNCTION = re.compile(r".*_[0-9]+", re.DOTALL)
_SHOWN = 10
_ADVICE = "serve it with --trust only if you know who made it, since a SavedModel is a program"


def check_trusted(folder: Path, meta_graph: Any, *, is_described: bool) -> None:
    """Checks that a SavedModel does nothing but compute, by the names of its operations. Nothing is loaded.

    Args:
        folder: of the SavedModel, for messages.
        meta_graph: its ``MetaGraphDef``.
        is_described: whether it has the description that tfdl writes.

    Raises:
        UserError: tfdl did not write it, or it has operations that no export of tfdl has.
    """
    name = repr(str(folder))
    if not is_described or not meta_graph.object_graph_def.nodes:
        raise UserError(f"{name} was not written by tfdl (no assets.extra/tfdl.json), expected an export; {_ADVICE}")
    if meta_graph.asset_file_def:
        raise UserError(f"{name} has asset files, which no export of tfdl has; {_ADVICE}")
    unknown = _unknown_operations(meta_graph)
    if unknown:
        shown = ", ".join(unknown[:_SHOWN]) + (f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else "")
        raise UserError(f"{name} has operations that are not known to be harmless: {shown}; {_ADVICE}")


def _unknown_operations(meta_graph: Any) -> list[str]:
    """The operations, sorted, that are not on the lists, or stand where they could be called by a request."""
    library = {function.signature.name: function for function in meta_graph.graph_def.library.function}
    unknown = {name for name in library if not _FUNCTION.fullmatch(name)}
    names = set(library) - unknown
    for node in meta_graph.graph_def.node:
        if node.op not in COMPUTING and node.op not in names:
            unknown.add(node.op)
    called = {called for function in library.values() for called in _called_functions(function, names)}
    called |= set(meta_graph.object_graph_def.concrete_functions)
    for name in names:
        operations = {node.op for node in library[name].node_def}
        # Only the graph's own nodes for saving and restoring may call such a function. Requests do not run them.
        allowed = COMPUTING if name in called else COMPUTING | READING_AND_WRITING_WEIGHTS
        unknown |= operations - allowed - names
    return sorted(unknown)


def _called_functions(function: Any, names: set[str]) -> Iterator[str]:
    """The functions that a function calls, directly or as an attribute."""
    for node in function.node_def:
        if node.op in names:
            yield node.op
        for value in node.attr.values():
            if value.HasField("func"):
                yield value.func.name
            for called in value.list.func:
                yield called.name
