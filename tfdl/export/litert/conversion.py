"""From a function to the bytes of a LiteRT file, which has LiteRT's own operations only."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.config.export_formats import FULL_PRECISION
from tfdl.errors import RunError, UserError
from tfdl.export.litert.calibrated_conversion import converted_with_calibration
from tfdl.export.litert.functions import LiteRTFunction
from tfdl.export.litert.native_output import hidden_native_output
from tfdl.export.litert.operators import foreign_operators
from tfdl.export.tensors import TensorType
from tfdl.layers.cudnn import portable_kernels

# Lists of tensors, which loops write. LiteRT has them only if the size of their elements is known, the rows included.
_TENSOR_LIST = "TensorListReserve"
# How the converter names operations that LiteRT does not have.
_MISSING = re.compile(r"'tf\.(\w+)' op (?:is neither|requires)|legalize operation 'tf\.(\w+)'")


class MissingOperationError(UserError):
    """LiteRT does not have an operation of a graph, or not for the sizes that it has there.

    Args:
        reason: which one.
    """

    def __init__(self, reason: str):
        super().__init__(f"{reason}; use --format saved_model")
        self.reason = reason


class ConverterError(RunError):
    """TensorFlow's converter refused a graph, without a word that LiteRT lacks an operation.

    Args:
        reason: its own.
    """

    def __init__(self, reason: str):
        super().__init__(f"TensorFlow's converter failed: {reason}")
        self.reason = reason


@dataclass(frozen=True)
class LiteRTGraph:
    """A function's graph, before conversion."""

    function: Any
    """The concrete function."""
    module: tf.Module
    """Tracks its variables."""
    inputs: dict[str, TensorType]
    """What it takes, by name."""
    one_row: bool
    """Whether every batch has one row."""

    @property
    def outputs(self) -> dict[str, TensorType]:
        """What it returns, by name."""
        return {name: TensorType.of(spec) for name, spec in self.function.structured_outputs.items()}


def traced(function: LiteRTFunction, *, one_row: bool) -> LiteRTGraph:
    """Traces a function.

    Args:
        function: what the file computes.
        one_row: whether every batch has one row; else any number.
    """
    specs = dict(function.inputs)
    if one_row:
        specs = {name: _of_one_row(name, spec) for name, spec in function.inputs.items()}
    module = tf.Module()
    module.model_variables = [variable.value for variable in function.model.variables]
    answer = tf.function(lambda **inputs: function.answer(inputs), autograph=False)
    with portable_kernels():
        concrete = answer.get_concrete_function(**specs)
    inputs = {name: TensorType.of(spec) for name, spec in specs.items()}
    return LiteRTGraph(concrete, module, inputs, one_row)


def _of_one_row(name: str, spec: tf.TensorSpec) -> tf.TensorSpec:
    is_scalar = spec.shape.rank == 0
    return spec if is_scalar else tf.TensorSpec([1, *spec.shape[1:]], spec.dtype, name=name)


def in_precision(
    graph: LiteRTGraph, precision: str = FULL_PRECISION, calibration: dict[str, np.ndarray] | None = None
) -> bytes:
    """Converts a graph.

    Args:
        graph: from ``traced``.
        precision: of the weights: ``float32``, ``float16`` or ``int8``.
        calibration: inputs by name. The numbers between layers then become int8 too, in the ranges that they have on
            these.

    Raises:
        MissingOperationError: LiteRT does not have the graph's operations.
        ConverterError: the converter failed.
        RunError: the conversion with calibration failed.
    """
    if calibration is not None:
        return converted_with_calibration(graph.module, graph.function, calibration)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph.function], graph.module)
    if precision != FULL_PRECISION:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    try:
        with hidden_native_output():
            content: bytes = converter.convert()
    except Exception as error:  # the converter raises many kinds: its own, MLIR's and those of its Python code
        raise _refusal(error) from error
    foreign = foreign_operators(content)
    if foreign:
        raise MissingOperationError(_message(foreign))
    return content


def has_tensor_list(graph: LiteRTGraph) -> bool:
    """Whether a graph has a loop that writes a list of tensors.

    Args:
        graph: from ``traced``.
    """
    definition = graph.function.graph.as_graph_def()
    nodes = [*definition.node, *(node for inner in definition.library.function for node in inner.node_def)]
    return any(node.op == _TENSOR_LIST for node in nodes)


def _refusal(error: Exception) -> MissingOperationError | ConverterError:
    names = sorted({name for pair in _MISSING.findall(str(error)) for name in pair if name})
    if names:
        return MissingOperationError(_message(names))
    first_line, *_ = str(error).strip().splitlines() or [type(error).__name__]  # the others show the graph
    return ConverterError(first_line)


def _message(names: list[str]) -> str:
    return f"LiteRT cannot compute {', '.join(names)} of this model's graph with its own operations"
