"""What a served function takes and returns."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Arrays = dict[str, np.ndarray]
"""Inputs or outputs by name. Strings are arrays of ``bytes`` objects."""

STRING = "string"
PREDICT = "tensorflow/serving/predict"
CLASSIFY = "tensorflow/serving/classify"


@dataclass(frozen=True)
class TensorInfo:
    """An input or an output."""

    dtype: str
    """TensorFlow's name, such as ``float32``."""
    shape: tuple[int | None, ...] | None
    """``None`` stands for a size that differs from call to call, or for an unknown number of axes."""
    tensor_name: str = ""
    """In the graph."""

    @property
    def has_rows(self) -> bool:
        """Whether the first axis is that of the batch."""
        return bool(self.shape) and self.shape is not None and self.shape[0] is None

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.dtype} of any shape"
        sizes = ", ".join("any" if size is None else str(size) for size in self.shape)
        return f"{self.dtype} ({sizes})"


@dataclass(frozen=True)
class Signature:
    """A function of a model."""

    name: str
    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]
    method: str = PREDICT
    """What TensorFlow Serving calls it by."""

    @property
    def is_joinable(self) -> bool:
        """Whether the rows of several requests can be computed by one call: each output has a row for each of them.

        Inputs without rows are settings, which requests that are joined must have in common.
        """
        has_rows = any(info.has_rows for info in self.inputs.values())
        are_known = all(info.has_rows or info.shape == () for info in self.inputs.values())
        return has_rows and are_known and all(info.has_rows for info in self.outputs.values())

    @property
    def takes(self) -> str:
        """Its inputs in words."""
        return ", ".join(f"{name}: {info}" for name, info in self.inputs.items())
