"""Keeps large weights out of a conversion, which would copy them many times."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import tensorflow as tf
from onnx import numpy_helper

LARGE = 2**18
"""Bytes. Smaller constants stay: a conversion looks at the values of shapes, axes and biases."""


def take_out(graph: Any, least: int) -> dict[str, np.ndarray]:
    """Makes inputs of a graph's large constants.

    Args:
        graph: a frozen ``GraphDef``, which is changed.
        least: bytes of a large constant.

    Returns:
        Name of the input -> value.
    """
    weights = {}
    for node in graph.node:
        if node.op != "Const" or len(node.attr["value"].tensor.tensor_content) < least:
            continue
        value = tf.make_ndarray(node.attr["value"].tensor)
        weights[f"{node.name}:0"] = value
        dtype = node.attr["dtype"].type
        node.Clear()
        node.name = next(reversed(weights)).removesuffix(":0")
        node.op = "Placeholder"
        node.attr["dtype"].type = dtype
        for size in value.shape:
            node.attr["shape"].shape.dim.add(size=size)
    return weights


def put_back(model: onnx.ModelProto, weights: Mapping[str, np.ndarray]) -> None:
    """Makes weights of a converted model's inputs.

    Args:
        model: the ONNX model, which is changed.
        weights: as ``take_out`` returned them.
    """
    graph = model.graph
    own_inputs = [tensor for tensor in graph.input if tensor.name not in weights]
    used = {tensor.name for tensor in graph.input} & weights.keys()
    del graph.input[:]
    graph.input.extend(own_inputs)
    transposed = _transposed(graph, {name: weights[name] for name in used})
    still_used = _used_names(graph)
    for name, value in {**{name: weights[name] for name in weights if name in used}, **transposed}.items():
        if name in still_used:
            graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))


def _transposed(graph: onnx.GraphProto, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Transposes weights here, such as kernels of convolutions, in place of the graph's nodes that do it."""
    found = {}
    nodes = []
    for node in graph.node:
        if node.op_type == "Transpose" and node.input[0] in weights:
            (order,) = (attribute.ints for attribute in node.attribute if attribute.name == "perm")
            found[node.output[0]] = weights[node.input[0]].transpose(list(order))
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    return found


def _used_names(graph: onnx.GraphProto) -> set[str]:
    """The names of tensors that the nodes of a graph and of the graphs within it read."""
    names = {tensor.name for tensor in graph.output}
    for node in graph.node:
        names.update(node.input)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                names |= _used_names(attribute.g)
    return names
