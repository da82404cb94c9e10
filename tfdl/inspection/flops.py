"""Floating-point operations (FLOPs) of a graph's matrix products and convolutions.

A multiplication and an addition count as two operations. All other operations count as zero, as is usual in papers:
matrix products and convolutions are all but a few percent of the work.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

from tfdl.errors import RunError


def count_flops(operations: Iterable[Any]) -> int:
    """Sums the FLOPs of graph operations, including those in called functions and loop bodies.

    Raises:
        RunError: an unknown shape, or a loop with an unknown number of iterations.
    """
    return sum(_flops(operation) for operation in operations)


def _flops(operation: Any) -> int:
    kind = operation.type
    if kind in _FORMULAS:
        return _FORMULAS[kind](operation)
    if kind in ("While", "StatelessWhile"):
        return _iterations(operation) * count_flops(_function_operations(operation, "body"))
    if kind in ("PartitionedCall", "StatefulPartitionedCall"):
        return count_flops(_function_operations(operation, "f"))
    if kind in ("If", "StatelessIf"):
        branches = ("then_branch", "else_branch")
        return max(count_flops(_function_operations(operation, branch)) for branch in branches)
    return 0


def _num_elements(tensor: Any) -> int:
    if not tensor.shape.is_fully_defined():
        raise RunError(f"cannot count: {tensor.name} has the unknown shape {tensor.shape}")
    return math.prod(tensor.shape)


def _matrix_product(operation: Any, transpose_attribute: str) -> int:
    """(M, K) times (K, N): 2 M N K."""
    left = operation.inputs[0]
    (result,) = operation.outputs
    _num_elements(left)  # raises if the shape is unknown
    inner_axis = -2 if operation.get_attr(transpose_attribute) else -1
    return 2 * _num_elements(result) * left.shape[inner_axis]


def _convolution(filters: Any, outputs: Any) -> int:
    """Each output is a sum of products with (height, width, input channels) values: 2 B H W C_out (kh kw C_in)."""
    height, width, channels, _ = filters.shape
    return 2 * _num_elements(outputs) * height * width * channels


def _einsum(operation: Any) -> int:
    """Two operations for every combination of the indices."""
    sizes: dict[str, int] = {}
    equation = operation.get_attr("equation").decode()
    input_terms = equation.split("->")[0].split(",")
    for term, tensor in zip(input_terms, operation.inputs, strict=True):
        _num_elements(tensor)  # raises if the shape is unknown
        shape = list(tensor.shape)
        sizes |= dict(zip(_axis_labels(term, len(shape)), shape, strict=True))
    return 2 * math.prod(sizes.values())


def _axis_labels(term: str, num_axes: int) -> list[str]:
    """A label for each axis of an operand: its letter, or for axes in the ellipsis a label with its index."""
    before, ellipsis, after = term.partition("...")
    num_unnamed = num_axes - len(before) - len(after) if ellipsis else 0
    first_unnamed = len(before)
    unnamed = [f"...{index}" for index in range(first_unnamed, first_unnamed + num_unnamed)]
    return [*before, *unnamed, *after]


def _block_lstm(operation: Any, products: int) -> int:
    """Each step multiplies (B, I + H) by (I + H, 4H). The backward pass does it for the inputs and for the weights."""
    inputs = operation.inputs[1]  # (T, B, I)
    weights = operation.inputs[4]  # (I + H, 4H)
    _num_elements(inputs)  # raises if the shape is unknown
    steps, batch, _ = inputs.shape
    return products * 2 * steps * batch * _num_elements(weights)


def _gru_cell(operation: Any) -> int:
    """One step multiplies (B, I + H) by the weights of the gates and by those of the candidate."""
    inputs = operation.inputs[0]  # (B, I)
    gate_weights = operation.inputs[2]  # (I + H, 2H)
    candidate_weights = operation.inputs[3]  # (I + H, H)
    _num_elements(inputs)  # raises if the shape is unknown
    batch, _ = inputs.shape
    return 2 * batch * (_num_elements(gate_weights) + _num_elements(candidate_weights))


_FORMULAS: dict[str, Callable[[Any], int]] = {
    "MatMul": lambda op: _matrix_product(op, "transpose_a"),
    "BatchMatMulV2": lambda op: _matrix_product(op, "adj_x"),
    "BatchMatMulV3": lambda op: _matrix_product(op, "adj_x"),
    "Einsum": _einsum,
    "Conv2D": lambda op: _convolution(filters=op.inputs[1], outputs=op.outputs[0]),
    # The gradient by the inputs: the filters are an input, and the outputs' gradient is another.
    "Conv2DBackpropInput": lambda op: _convolution(filters=op.inputs[1], outputs=op.inputs[2]),
    # The gradient by the filters has their shape.
    "Conv2DBackpropFilter": lambda op: _convolution(filters=op.outputs[0], outputs=op.inputs[2]),
    "BlockLSTM": lambda op: _block_lstm(op, products=1),
    "BlockLSTMV2": lambda op: _block_lstm(op, products=1),
    "BlockLSTMGrad": lambda op: _block_lstm(op, products=2),
    "BlockLSTMGradV2": lambda op: _block_lstm(op, products=2),
    "GRUBlockCell": _gru_cell,
    "GRUBlockCellGrad": _gru_cell,  # the gradient by the inputs; that by the weights is separate matrix products
}


def _function_operations(operation: Any, attribute: str) -> Iterable[Any]:
    """The operations of the function that an attribute of ``operation`` names."""
    function_name = operation.get_attr(attribute).name
    return operation.graph._get_function(function_name).graph.get_operations()


def _iterations(loop: Any) -> int:
    """The number of iterations of a loop, from the limits that its condition compares integers with."""
    condition = loop.graph._get_function(loop.get_attr("cond").name).graph
    limits = []
    for operation in condition.get_operations():
        if operation.type == "Less" and operation.inputs[0].dtype.is_integer:
            limit = _loop_value(loop, condition, operation.inputs[1])
            if limit is not None:
                limits.append(int(limit))
    if not limits:
        raise RunError(f"cannot count: the number of iterations of the loop {loop.name} is not in the graph")
    return min(limits)


def _loop_value(loop: Any, condition: Any, tensor: Any) -> Any:
    """The static value of a tensor in a loop's condition, or None.

    The inputs of the condition are the inputs of the loop, in the same order.
    """
    for index, condition_input in enumerate(condition.inputs):
        if condition_input is tensor:
            return tf.get_static_value(loop.inputs[index])
    return tf.get_static_value(tensor)
