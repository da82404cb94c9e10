"""Whether a SavedModel may run: a SavedModel is a program, which could read and write files."""

import re
from pathlib import Path
from typing import Any

from tfdl.errors import UserError
from tfdl.serving.operations import COMPUTING, READING_AND_WRITING_WEIGHTS

# TensorFlow's functions end with a number. A function with another name could be mistaken for an operation.
_FUNCTION = re.compile(r".*_[0-9]+", re.DOTALL)
# TensorFlow takes another function that implements the same, such as a faster one.
_IMPLEMENTS = "api_implements"
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
    if _has_replaceable_functions(meta_graph):
        raise UserError(f"{name} has functions that others may replace, which no export of tfdl has; {_ADVICE}")
    unknown = _unknown_operations(meta_graph)
    if unknown:
        shown = ", ".join(unknown[:_SHOWN]) + (f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else "")
        raise UserError(f"{name} has operations that are not known to be harmless: {shown}; {_ADVICE}")


def _unknown_operations(meta_graph: Any) -> list[str]:
    """The operations, sorted, that are not on the lists, or stand where something could call them."""
    functions = list(meta_graph.graph_def.library.function)
    names = {function.signature.name for function in functions if _FUNCTION.fullmatch(function.signature.name)}
    unknown = {function.signature.name for function in functions} - names
    unknown |= {node.op for node in meta_graph.graph_def.node} - COMPUTING - names
    for function in functions:
        operations = {node.op for node in function.node_def} - names - COMPUTING
        if operations & READING_AND_WRITING_WEIGHTS and not _is_named(function.signature.name, meta_graph):
            # Only the graph's own nodes for saving and restoring call it, which nothing runs.
            operations -= READING_AND_WRITING_WEIGHTS
        unknown |= operations
    return sorted(unknown)


def _is_named(name: str, meta_graph: Any) -> bool:
    """Whether an object, another function or a gradient could name a function, wherever its message has names.

    Args:
        name: of the function.
        meta_graph: that has it.
    """
    library = meta_graph.graph_def.library
    messages = [meta_graph.object_graph_def, *library.gradient, *library.registered_gradients]
    messages += [function for function in library.function if function.signature.name != name]
    return any(name.encode() in message.SerializeToString() for message in messages)


def _has_replaceable_functions(meta_graph: Any) -> bool:
    """Whether TensorFlow could replace a function, or a part of one, by another that is not named where it is used."""
    library = meta_graph.graph_def.library
    for function in library.function:
        attributes = [function.attr, *(node.attr for node in function.node_def)]
        if _IMPLEMENTS in function.attr or any(_has_placeholder(attribute) for attribute in attributes):
            return True
    return any(_has_placeholder(node.attr) for node in meta_graph.graph_def.node)


def _has_placeholder(attributes: Any) -> bool:
    """Whether the value of an attribute is left to the caller of a function."""
    for value in attributes.values():
        if value.HasField("placeholder"):
            return True
        functions = [value.func, *value.list.func] if value.HasField("func") or value.HasField("list") else []
        if any(_has_placeholder(function.attr) for function in functions):
            return True
    return False
