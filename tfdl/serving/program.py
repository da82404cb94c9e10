"""A model in memory: functions by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.serving.signature import Arrays, Signature, TensorInfo
from tfdl.serving.text_writer import TextWriter


@dataclass(frozen=True)
class Program:
    """What answers the requests for one version of a model."""

    signatures: Mapping[str, Signature]
    functions: Mapping[str, Callable[..., Mapping[str, Any]]]
    """The graph of each signature, which takes tensors by name."""
    description: Mapping[str, Any]
    """What the export says about itself; empty if tfdl did not write it."""
    writer: TextWriter | None = None
    """Writes texts in pieces, if the model is a run that writes texts."""
    owner: Any = None
    """Keeps the variables alive that the graphs read."""

    def call(self, name: str, arrays: Arrays) -> Arrays:
        """Calls a function.

        Args:
            name: of the signature.
            arrays: its inputs.
        """
        tensors = {key: tf.constant(array) for key, array in arrays.items()}
        outputs = self.functions[name](**tensors)
        return {key: _array(value) for key, value in outputs.items()}


def _array(tensor: Any) -> np.ndarray:
    """The values of a tensor; those of strings are ``bytes`` objects, also if it is a scalar."""
    value = tensor.numpy()
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, bytes):
        return np.array(value, object)
    return np.array(value)


def tensor_info(spec: Any, tensor_name: str) -> TensorInfo:
    """The description of a tensor.

    Args:
        spec: a ``tf.TensorSpec``, or a tensor of a graph.
        tensor_name: in the graph.
    """
    shape = None if spec.shape.rank is None else tuple(spec.shape.as_list())
    return TensorInfo(spec.dtype.name, shape, tensor_name)
