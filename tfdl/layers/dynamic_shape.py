"""Shapes of tensors whose sizes are partly known only when the graph runs."""

from typing import Any

import tensorflow as tf


def dynamic_shape(tensor: Any) -> list[Any]:
    """Returns the shape of ``tensor``: an integer for each static size, a scalar tensor for each unknown one."""
    return [tf.shape(tensor)[axis] if size is None else size for axis, size in enumerate(tensor.shape)]
