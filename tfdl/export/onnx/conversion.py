"""A model's answers as an ONNX graph."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import onnx
import tensorflow as tf
import tf2onnx

from tfdl.errors import UserError, in_one_line
from tfdl.export.file_size import check_size
from tfdl.export.number_signature import NumberSignature
from tfdl.export.onnx import large_weights
from tfdl.export.onnx.handlers import handlers
from tfdl.export.served_numbers import named_axes
from tfdl.export.tensors import TensorType
from tfdl.layers.cudnn import portable_kernels

# The newest operations that tf2onnx writes.
_OPSET = 18
_NAME = "tfdl"
_RESHAPE = ("Reshape",)


def to_onnx(model: Any, signature: NumberSignature) -> tuple[onnx.ModelProto, dict[str, TensorType]]:
    """Converts a model.

    Args:
        model: in float32.
        signature: what it takes and returns.

    Returns:
        The ONNX model with named axes, and its outputs.

    Raises:
        UserError: the model is too large, or has an operation that ONNX does not have.
    """
    check_size(model, "an ONNX file")
    specs = [tf.TensorSpec(tensor.shape, tensor.dtype, name) for name, tensor in signature.inputs.items()]

    def answer(*arguments: Any) -> dict[str, Any]:
        answers = signature.answer(model, **dict(zip(signature.inputs, arguments, strict=True)))
        return {name: tf.identity(value) for name, value in answers.items()}

    function = tf.function(answer, autograph=False, input_signature=specs)
    with portable_kernels(), _silent(), _every_reshape():
        graph = function.get_concrete_function()
        try:
            converted = _converted(graph)
        except (ValueError, TypeError, KeyError, NotImplementedError) as error:
            raise UserError(
                f"the model cannot be an ONNX file: {in_one_line(str(error))}; export it as saved_model"
            ) from error
    _check_operations(converted)
    outputs = dict(signature.outputs) or {
        name: TensorType(value.dtype.name, named_axes(name, value.shape))
        for name, value in graph.structured_outputs.items()
    }
    _name_axes(converted.graph.input, signature.inputs)
    _name_axes(converted.graph.output, outputs)
    converted.graph.name = _NAME
    return converted, outputs


def _converted(graph: Any) -> onnx.ModelProto:
    """A concrete function as an ONNX model."""
    inputs = [tensor.name for tensor in graph.inputs if tensor.dtype != tf.resource]
    outputs = [tensor.name for tensor in graph.outputs]
    names = dict(zip(inputs, [spec.name for spec in graph.structured_input_signature[0]], strict=True))
    names |= {tensor.name: name for name, tensor in graph.structured_outputs.items()}
    frozen = tf2onnx.tf_loader.from_function(graph, inputs, outputs)
    weights = large_weights.take_out(frozen, large_weights.LARGE)
    model, _ = tf2onnx.convert.from_graph_def(
        frozen,
        input_names=[*inputs, *weights],
        output_names=outputs,
        tensors_to_rename=names,
        opset=_OPSET,
        custom_op_handlers=handlers(),
    )
    large_weights.put_back(model, weights)
    return model


def add_metadata(model: onnx.ModelProto, values: Mapping[str, Any]) -> None:
    """Writes values where onnxruntime's ``get_modelmeta().custom_metadata_map`` has them; all but strings as JSON.

    Args:
        model: the ONNX model.
        values: name -> plain data.
    """
    for name, value in values.items():
        model.metadata_props.add(key=name, value=value if isinstance(value, str) else json.dumps(value))


def _check_operations(model: onnx.ModelProto) -> None:
    unknown = sorted({node.op_type for node in _nodes(model.graph) if not onnx.defs.has(node.op_type)})
    if unknown:
        raise UserError(
            f"the model computes {', '.join(unknown)}, which ONNX does not have; export it as saved_model or keras"
        )


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g)


def _name_axes(tensors: Any, described: Mapping[str, TensorType]) -> None:
    """Declares the axes of tensors, those of any size by name."""
    for tensor in tensors:
        shape = tensor.type.tensor_type.shape
        del shape.dim[:]
        for axis in described[tensor.name].axes:
            if isinstance(axis, str):
                shape.dim.add(dim_param=axis)
            else:
                shape.dim.add(dim_value=axis)


@contextmanager
def _every_reshape() -> Iterator[None]:
    """Keeps tf2onnx from leaving out the first of two reshapes.

    It does so even where the second one takes over sizes of the first one's result (0 in its shape), which are then
    those of another tensor. A dense layer without bias before a split into heads was converted wrongly.
    """
    from tf2onnx.optimizer import back_to_back_optimizer

    passes = back_to_back_optimizer._func_map
    removed = passes.pop(_RESHAPE, None)
    try:
        yield
    finally:
        if removed is not None:
            passes[_RESHAPE] = removed


@contextmanager
def _silent() -> Iterator[None]:
    """Keeps notices from the terminal; what could not be converted is found in the result."""
    loggers = [logging.getLogger(name) for name in ("tf2onnx", "tensorflow")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
