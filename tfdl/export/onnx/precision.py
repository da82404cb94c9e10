"""ONNX models of lower precisions: float16, or integers of 8 bits."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from tfdl.errors import UserError
from tfdl.export.parity import Arrays

# Smaller tensors are shapes, scales and constants.
_LEAST_VALUES = 16
_LARGEST_HALF = float(np.finfo(np.float16).max)
_CAST_SUFFIX = "_float16"
# What dynamic quantization computes in integers, or looks up in them.
_DYNAMIC = ("MatMul", "Gemm", "Gather")


def in_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Stores weights in float16. They become float32 when the model is loaded, so it computes as before.

    Args:
        model: in float32.

    Raises:
        UserError: a weight is too large for float16.
    """
    smaller = onnx.ModelProto()
    smaller.CopyFrom(model)
    _halve(smaller.graph)
    return smaller


def _halve(graph: onnx.GraphProto) -> None:
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        if values.size < _LEAST_VALUES:
            continue
        largest = float(np.abs(values).max())
        if not largest <= _LARGEST_HALF:
            raise UserError(
                f"a weight is {largest:.3g}, but float16 ends at {_LARGEST_HALF:.0f}; leave --precision out, or choose"
                " int8"
            )
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name + _CAST_SUFFIX))
        casts.append(onnx.helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([*casts, *nodes])
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _halve(attribute.g)


def has_convolutions(model: onnx.ModelProto) -> bool:
    """Whether 8 bits need samples: the range of values between convolutions is fixed beforehand.

    Args:
        model: in float32.
    """
    return any(node.op_type == "Conv" for node in model.graph.node)


def write_int8(source: Path, target: Path, samples: Sequence[Arrays]) -> None:
    """Quantizes an ONNX file.

    With samples, weights and values are integers (static quantization). Without, weights are, and the range of values
    is found anew for each input (dynamic quantization).

    Args:
        source: the file in float32.
        target: the file to write.
        samples: inputs by name, to calibrate static quantization on.
    """
    from onnxruntime import quantization

    with _silent():
        if not samples:
            quantization.quantize_dynamic(
                source,
                target,
                op_types_to_quantize=list(_DYNAMIC),
                weight_type=quantization.QuantType.QInt8,
                extra_options={"EnableSubgraph": True, "MatMulConstBOnly": True},
            )
            return
        quantization.quantize_static(
            source,
            target,
            _reader(samples),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )


def _reader(samples: Sequence[Arrays]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        """Reads each sample once."""

        def __init__(self) -> None:
            self._samples = iter(samples)

        def get_next(self) -> Arrays | None:
            return next(self._samples, None)

    return Reader()


@contextmanager
def _silent() -> Iterator[None]:
    """Keeps the quantizer's advice from the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
