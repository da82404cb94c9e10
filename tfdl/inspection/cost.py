"""The cost of one training step, from its traced graph."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfdl.inspection.flops import count_flops
from tfdl.layers.cudnn import portable_kernels

# Operations that hand on their input's memory.
_VIEWS = {"Identity", "Reshape", "ExpandDims", "Squeeze", "StopGradient", "PreventGradient"}
_NOTHING_KEPT = {"Const", "Shape", "ShapeN", "Size", "Rank"}


@dataclass(frozen=True)
class Cost:
    """What one step on one rank takes."""

    forward_flops: int
    """Multiplications and additions of matrix products and convolutions, one way."""
    training_flops: int
    """Those of forward and backward pass together."""
    activation_bytes: int
    """What the forward pass keeps for the backward pass; kernels' scratch memory comes on top."""


def step_cost(model: Any, inputs: Sequence[tf.TensorSpec]) -> Cost:
    """Traces one forward and backward pass of ``model`` on inputs of these shapes, and runs nothing.

    Args:
        model: a built ``keras.Model``; its variables need no values (see ``shapes_only``).
        inputs: what the model takes, in the order of its inputs, with every dimension known.

    Raises:
        RunError: the graph holds shapes or loops whose size is not known.
    """
    trainable = [tf.TensorSpec(v.shape, v.dtype) for v in model.trainable_variables]
    others = [tf.TensorSpec(v.shape, v.dtype) for v in model.non_trainable_variables]
    forward: list[Any] = []

    def taken(batch: Sequence[Any]) -> Any:
        """One tensor, or several by the names of the model's inputs."""
        return batch[0] if len(batch) == 1 else dict(zip((each.name for each in model.inputs), batch, strict=True))

    def step(weights: Any, state: Any, *batch: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(weights)
            outputs, _ = model.stateless_call(weights, state, taken(batch), training=True)
        forward.extend(tf.compat.v1.get_default_graph().get_operations())
        gradients = tape.gradient(outputs, weights, output_gradients=tf.nest.map_structure(tf.ones_like, outputs))
        return outputs, [gradient for gradient in gradients if gradient is not None]

    with portable_kernels():  # cuDNN's would hide their products, and every machine is to count alike
        graph = tf.function(step).get_concrete_function(trainable, others, *inputs).graph
    outputs, gradients = graph.structured_outputs
    needed_forward = _reached(tf.nest.flatten(outputs))
    needed = _reached(tf.nest.flatten([outputs, gradients], expand_composites=True))
    before = set(forward)
    variables = {tensor.op for tensor in graph.inputs[: len(trainable) + len(others)]}
    return Cost(
        forward_flops=count_flops(needed_forward),
        training_flops=count_flops(needed),
        activation_bytes=_kept_bytes([op for op in needed if op not in before], before, variables),
    )


def _reached(tensors: Sequence[Any]) -> list[Any]:
    """The operations that ``tensors`` depend on: what TensorFlow does not prune."""
    found: dict[Any, None] = {}
    waiting = [tensor.op for tensor in tensors]
    while waiting:
        operation = waiting.pop()
        if operation not in found:
            found[operation] = None
            waiting.extend(tensor.op for tensor in operation.inputs)
    return list(found)


def _kept_bytes(backward: Sequence[Any], forward: set[Any], variables: set[Any]) -> int:
    """Bytes of the forward pass's tensors that the backward pass reads, each memory once, without the variables."""
    kept: dict[Any, Any] = {}
    for operation in backward:
        for tensor in operation.inputs:
            source = _memory_of(tensor)
            if source.op in forward and source.op not in variables and source.op.type not in _NOTHING_KEPT:
                kept[source.ref()] = source
    sized = [tensor for tensor in kept.values() if tensor.dtype.size and tensor.shape.is_fully_defined()]
    return sum(tensor.shape.num_elements() * tensor.dtype.size for tensor in sized)


def _memory_of(tensor: Any) -> Any:
    while tensor.op.type in _VIEWS:
        tensor = tensor.op.inputs[0]
    return tensor
