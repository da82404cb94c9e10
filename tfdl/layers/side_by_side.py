"""Kernels of several dense layers as the columns of one, so that one matrix product computes them all."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf


def side_by_side(initializer: keras.initializers.Initializer, widths: Sequence[int]) -> Callable[..., Any]:
    """An initializer that draws each part as if it were a kernel of its own.

    A rule that looks at the shape (Glorot, He) would otherwise take the parts for one wide layer, and start with
    smaller values.

    Args:
        initializer: of each part, which has the shape ``(rows, width)``.
        widths: columns of the parts, from left to right.
    """

    def draw(shape: Sequence[int], dtype: Any = None) -> Any:
        # A Keras initializer gives one shape the same values each time, hence a clone for every part.
        parts = [initializer.clone()((*shape[:-1], width), dtype=dtype) for width in widths]
        return tf.concat([tf.convert_to_tensor(part) for part in parts], -1)

    return draw
