"""The tensors that an exported model takes and returns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

Axes = tuple[str | int, ...]
"""Sizes, and names of axes of any size."""

ANY = "any"
"""The name of an axis of any size in formats without names."""


@dataclass(frozen=True)
class TensorType:
    """A tensor."""

    dtype: str
    axes: Axes
    meaning: str = ""
    """Of its values, where its name does not say it."""

    @classmethod
    def of(cls, spec: Any, meaning: str = "") -> "TensorType":
        """The type of a ``tf.TensorSpec`` or of a Keras tensor.

        Args:
            spec: with dtype and shape.
            meaning: of its values.
        """
        axes = tuple(ANY if size is None else size for size in spec.shape)
        return cls(tf.as_dtype(spec.dtype).name, axes, meaning)

    @property
    def shape(self) -> list[int | None]:
        """Sizes; None for any size."""
        return [None if isinstance(axis, str) else axis for axis in self.axes]

    @property
    def spec(self) -> tf.TensorSpec:
        """For TensorFlow."""
        return tf.TensorSpec(self.shape, self.dtype)

    def __str__(self) -> str:
        described = f"{self.dtype} ({', '.join(map(str, self.axes))})"
        return f"{described}, {self.meaning}" if self.meaning else described


def as_json(tensors: Mapping[str, TensorType]) -> dict[str, Any]:
    """dtype and shape by name, for files; null stands for any size.

    Args:
        tensors: by name.
    """
    return {name: {"dtype": tensor.dtype, "shape": tensor.shape} for name, tensor in tensors.items()}
