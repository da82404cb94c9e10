"""The cost of one training step, from its traced graph."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfdl.inspection.flops import count_flops
from tfdl.layers.cudnn import portable_kernels

# Operations whose output shares the memory of their input.
_VIEWS = {"Identity", "Reshape", "ExpandDims", "Squeeze", "StopGradient", "PreventGradient"}
# Operations whose outputs are constants or shapes, which do not count as activations.
_NOT_ACTIVATIONS = {"Const", "Shape", "ShapeN", "Size", "Rank"}


@dataclass(frozen=True)
class Cost:
    """What one step on one rank costs."""

    forward_flops: int
    """Multiplications and additions of matrix products and convolutions in the forward pass."""
    training_flops: int
    """The same for forward and backward pass together."""
    activation_bytes: int
    """What the forward pass keeps for the backward pass, in bytes, without the scratch memory of kernels."""


def step_cost(model: Any, inputs: Sequence[tf.TensorSpec]) -> Cost:
    """Traces one forward and backward pass of ``model`` on inputs of these shapes, without running it.

    Args:
        model: a built ``keras.Model``. Its variables need no values (see ``shapes_only``).
        inputs: shapes and dtypes of the model's inputs, in their order, without unknown sizes.

    Returns:
        The cost of one step.

    Raises:
        RunError: the graph has an unknown shape, or a loop with an unknown number of iterations.
    """
    trainable = [tf.TensorSpec(v.shape, v.dtype) for v in model.trainable_variables]
    non_trainable = [tf.TensorSpec(v.shape, v.dtype) for v in model.non_trainable_variables]
    forward_operations: list[Any] = []

    def step(trainable: Any, non_trainable: Any, *batch: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(trainable)
            outputs, _ = model.stateless_call(trainable, non_trainable, _named_inputs(model, batch), training=True)
        # The tape has added nothing yet, so these are the operations of the forward pass.
        forward_operations.extend(tf.compat.v1.get_default_graph().get_operations())
        ones = tf.nest.map_structure(tf.ones_like, outputs)
        gradients = tape.gradient(outputs, trainable, output_gradients=ones)
        return outputs, [gradient for gradient in gradients if gradient is not None]

    # The op of cuDNN would hide its matrix products, and the count must not depend on the machine.
    with portable_kernels():
        graph = tf.function(step, autograph=False).get_concrete_function(trainable, non_trainable, *inputs).graph
    outputs, gradients = graph.structured_outputs
    forward_needed = _needed_operations(tf.nest.flatten(outputs))
    all_needed = _needed_operations(tf.nest.flatten([outputs, gradients], expand_composites=True))
    forward = set(forward_operations)
    backward_needed = [operation for operation in all_needed if operation not in forward]
    num_variables = len(trainable) + len(non_trainable)
    variables = {tensor.op for tensor in graph.inputs[:num_variables]}
    return Cost(
        forward_flops=count_flops(forward_needed),
        training_flops=count_flops(all_needed),
        activation_bytes=_kept_bytes(backward_needed, forward, variables),
    )


def _named_inputs(model: Any, batch: Sequence[Any]) -> Any:
    """The inputs as the model takes them: one tensor, or a dictionary by the names of several."""
    if len(batch) == 1:
        return batch[0]
    names = [tensor.name for tensor in model.inputs]
    return dict(zip(names, batch, strict=True))


def _needed_operations(tensors: Sequence[Any]) -> list[Any]:
    """The operations that ``tensors`` depend on, which TensorFlow does not prune."""
    needed: dict[Any, None] = {}  # a set that keeps its order
    pending = [tensor.op for tensor in tensors]
    while pending:
        operation = pending.pop()
        if operation not in needed:
            needed[operation] = None
            pending.extend(tensor.op for tensor in operation.inputs)
    return list(needed)


def _kept_bytes(backward: Sequence[Any], forward: set[Any], variables: set[Any]) -> int:
    """Bytes of the forward pass's tensors that the backward pass reads, without the variables.

    Tensors that share memory count once.
    """
    kept: dict[Any, Any] = {}
    for operation in backward:
        for tensor in operation.inputs:
            owner = _memory_owner(tensor)
            if owner.op in forward and owner.op not in variables and owner.op.type not in _NOT_ACTIVATIONS:
                kept[owner.ref()] = owner
    total = 0
    for tensor in kept.values():
        if tensor.dtype.size and tensor.shape.is_fully_defined():
            total += tensor.shape.num_elements() * tensor.dtype.size
    return total


def _memory_owner(tensor: Any) -> Any:
    """The tensor that ``tensor`` is a view of, or itself."""
    while tensor.op.type in _VIEWS:
        tensor = tensor.op.inputs[0]
    return tensor
