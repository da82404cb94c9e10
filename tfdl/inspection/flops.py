"""Floating-point operations of a graph's matrix products and convolutions.

A multiplication and an addition count as two, and everything else as nothing, as is usual in papers: products are all
but a few percent of the work.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

from tfdl.errors import RunError


def count_flops(operations: Iterable[Any]) -> int:
    """The sum over graph operations, those of called functions and loop bodies included.

    Raises:
        RunError: a shape or the number of a loop's turns is not known when the graph is made.
    """
    return sum(_flops(operation) for operation in operations)


def _flops(operation: Any) -> int:
    kind = operation.type
    if kind in _FORMULAS:
        return _FORMULAS[kind](operation)
    if kind in ("While", "StatelessWhile"):
        return _turns(operation) * count_flops(_body(operation, "body"))
    if kind in ("PartitionedCall", "StatefulPartitionedCall"):
        return count_flops(_body(operation, "f"))
    if kind in ("If", "StatelessIf"):
        return max(count_flops(_body(operation, branch)) for branch in ("then_branch", "else_branch"))
    return 0


def _size(tensor: Any) -> int:
    if not tensor.shape.is_fully_defined():
        raise RunError(f"cannot count: {tensor.name} has the unknown shape {tensor.shape}")
    return math.prod(tensor.shape)


def _matrix_product(operation: Any, transposed: str) -> int:
    """(M, K) times (K, N): 2 M N K."""
    left, (result,) = operation.inputs[0], operation.outputs
    _size(left)
    return 2 * _size(result) * left.shape[-2 if operation.get_attr(transposed) else -1]


def _convolution(filters: Any, outputs: Any) -> int:
    """Each output value is a product of (height, width, input channels) values: 2 B H W C_out (kh kw C_in)."""
    height, width, channels, _ = filters.shape
    return 2 * _size(outputs) * height * width * channels


def _einsum(operation: Any) -> int:
    """Two for every combination of the indices."""
    sizes: dict[str, int] = {}
    terms = operation.get_attr("equation").decode().split("->")[0].split(",")
    for labels, tensor in zip(terms, operation.inputs, strict=True):
        _size(tensor)
        shape = list(tensor.shape)
        before, dots, after = labels.partition("...")
        named = [*before, *("." * bool(dots) and [""] * (len(shape) - len(before) - len(after))), *after]
        sizes |= {label or f"...{place}": size for place, (label, size) in enumerate(zip(named, shape, strict=True))}
    return 2 * math.prod(sizes.values())


def _block_lstm(operation: Any, products: int) -> int:
    """Every step multiplies (B, I + H) by (I + H, 4H); the backward pass does so for inputs and for weights."""
    x, w = operation.inputs[1], operation.inputs[4]  # (T, B, I), (I + H, 4H)
    _size(x)
    return products * 2 * x.shape[0] * x.shape[1] * _size(w)


def _gru_cell(operation: Any, products: int) -> int:
    x, gates, candidate = (
        operation.inputs[0],
        operation.inputs[2],
        operation.inputs[3],
    )  # (B, I), (I + H, 2H), (I + H, H)
    _size(x)
    return products * 2 * x.shape[0] * (_size(gates) + _size(candidate))


_FORMULAS: dict[str, Callable[[Any], int]] = {
    "MatMul": lambda op: _matrix_product(op, "transpose_a"),
    "BatchMatMulV2": lambda op: _matrix_product(op, "adj_x"),
    "BatchMatMulV3": lambda op: _matrix_product(op, "adj_x"),
    "Einsum": _einsum,
    "Conv2D": lambda op: _convolution(op.inputs[1], op.outputs[0]),
    "Conv2DBackpropInput": lambda op: _convolution(op.inputs[1], op.inputs[2]),
    "Conv2DBackpropFilter": lambda op: _convolution(op.outputs[0], op.inputs[2]),
    "BlockLSTM": lambda op: _block_lstm(op, 1),
    "BlockLSTMV2": lambda op: _block_lstm(op, 1),
    "BlockLSTMGrad": lambda op: _block_lstm(op, 2),
    "BlockLSTMGradV2": lambda op: _block_lstm(op, 2),
    "GRUBlockCell": lambda op: _gru_cell(op, 1),
    "GRUBlockCellGrad": lambda op: _gru_cell(op, 1),  # of the inputs; the weights' gradient is products of its own
}


def _body(operation: Any, attribute: str) -> Iterable[Any]:
    name = operation.get_attr(attribute).name
    return operation.graph._get_function(name).graph.get_operations()


def _turns(loop: Any) -> int:
    """How often a loop runs, from the limit that its counter is compared with."""
    condition = loop.graph._get_function(loop.get_attr("cond").name).graph
    limits = []
    for comparison in (op for op in condition.get_operations() if op.type == "Less" and op.inputs[0].dtype.is_integer):
        source = comparison.inputs[1]
        places = [place for place, given in enumerate(condition.inputs) if given is source]
        value = tf.get_static_value(loop.inputs[places[0]] if places else source)
        limits += [] if value is None else [int(value)]
    if not limits:
        raise RunError(f"cannot count: the loop {loop.name} runs for a number of turns that the graph does not tell")
    return min(limits)
