"""What a served function takes and returns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from tfdl.tasks.served_signature import DEFAULT_SIGNATURE

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

    @property
    def row(self) -> "TensorInfo":
        """One row of it."""
        return TensorInfo(self.dtype, self.shape[1:] if self.shape else self.shape)

    @property
    def in_words(self) -> str:
        """What JSON must have for it, such as ``a list of strings``."""
        if self.shape is None:
            return str(self)
        is_string = self.dtype == STRING
        if not self.shape:
            return "a string" if is_string else f"one {self.dtype} value"
        values = "strings" if is_string else f"{self.dtype} values"
        if len(self.shape) > 1:
            return f"lists of the shape {_sizes(self.shape)} of {values}"
        return f"a list of {values}" if self.shape[0] is None else f"a list of {self.shape[0]} {values}"

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.dtype} of any shape"
        return f"{self.dtype} {_sizes(self.shape)}"


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


def _sizes(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"


def in_order(names: Iterable[str]) -> list[str]:
    """The names of signatures as they are listed: the default one first, then by the alphabet.

    A run and its export list them alike, and a client that takes the first one gets the default.

    Args:
        names: of the signatures of one model.
    """
    return sorted(names, key=lambda name: (name != DEFAULT_SIGNATURE, name))
