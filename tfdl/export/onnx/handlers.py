"""TensorFlow operations that tf2onnx does not convert."""

from collections.abc import Callable
from typing import Any

import numpy as np

Handler = tuple[Callable[..., None], list[Any]]

# The update of a cache of keys and values takes the first two axes whole (tfdl.layers.key_value_cache).
_CACHE_MASK = 0b011
_CACHE_AXIS = 2
_LARGEST = 2**31 - 1


def handlers() -> dict[str, Handler]:
    """Handlers for ``tf2onnx.convert.from_function(custom_op_handlers=...)``, by operation."""
    return {"Erfc": (_erfc, []), "TensorStridedSliceUpdate": (_cache_update, [])}


def _erfc(graph: Any, node: Any, name: str, arguments: Any) -> None:  # noqa: ARG001
    """1 - erf(x). Keras's exact GELU has it."""
    shape, dtype = _type_of(graph, node)
    outputs = node.output
    (inputs,) = node.input
    graph.remove_node(node.name)
    erf = graph.make_node("Erf", [inputs]).output[0]
    one = _constant(graph, np.ones([], np.float32))
    graph.make_node("Sub", [one, erf], name=node.name, outputs=outputs, shapes=[shape], dtypes=[dtype])


def _cache_update(graph: Any, node: Any, name: str, arguments: Any) -> None:  # noqa: ARG001
    """What is before the new slots, the new values, and what is after them."""
    masks = (node.get_attr_value("begin_mask"), node.get_attr_value("end_mask"))
    if masks != (_CACHE_MASK, _CACHE_MASK):
        raise ValueError(f"an update of a slice with the masks {masks}")
    shape, dtype = _type_of(graph, node)
    outputs = node.output
    old, begin, end, _, new = node.input
    graph.remove_node(node.name)
    axis = _constant(graph, np.array([_CACHE_AXIS]))
    first = _constant(graph, np.array([0]))
    last = _constant(graph, np.array([_LARGEST]))
    before = graph.make_node("Slice", [old, first, _slot(graph, begin), axis]).output[0]
    after = graph.make_node("Slice", [old, _slot(graph, end), last, axis]).output[0]
    parts = [before, new, after]
    attributes = {"axis": _CACHE_AXIS}
    graph.make_node("Concat", parts, attributes, name=node.name, outputs=outputs, shapes=[shape], dtypes=[dtype])


def _slot(graph: Any, slots: str) -> str:
    """The slot on the axis of the update, int64 ``(1,)``, of the slots on all axes."""
    from onnx import TensorProto

    begin = _constant(graph, np.array([_CACHE_AXIS]))
    end = _constant(graph, np.array([_CACHE_AXIS + 1]))
    axis = _constant(graph, np.array([0]))
    slot = graph.make_node("Slice", [slots, begin, end, axis]).output[0]
    cast: str = graph.make_node("Cast", [slot], {"to": TensorProto.INT64}).output[0]
    return cast


def _constant(graph: Any, value: np.ndarray) -> str:
    from tf2onnx import utils

    name: str = graph.make_const(utils.make_name("tfdl"), value).output[0]
    return name


def _type_of(graph: Any, node: Any) -> tuple[Any, Any]:
    return graph.get_shape(node.output[0]), graph.get_dtype(node.output[0])
