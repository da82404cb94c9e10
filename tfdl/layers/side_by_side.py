"""The kernels of several dense layers as columns of one kernel, so that one matrix product computes them all."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf


def side_by_side(initializer: keras.initializers.Initializer, widths: Sequence[int]) -> Callable[..., Any]:
    """Returns an initializer that draws each part of a kernel as a separate kernel.

    An initializer that depends on the shape (Glorot, He) would otherwise treat the parts as one wide layer and start
    with smaller values.

    Args:
        initializer: for each part, of shape ``(rows, width)``.
        widths: number of columns of each part, from left to right.

    Returns:
        An initializer for kernels of shape ``(rows, sum(widths))``.
    """

    def initialize(shape: Sequence[int], dtype: Any = None) -> Any:
        *rows, _ = shape
        parts = []
        for width in widths:
            # One Keras initializer returns the same values for the same shape each time, so every part needs a clone.
            part = initializer.clone()((*rows, width), dtype=dtype)
            parts.append(tf.convert_to_tensor(part))
        return tf.concat(parts, -1)  # (rows, sum(widths))

    return initialize
