"""Images read at other places: the arithmetic that shifts, turns and shears have in common."""

from typing import Any

import tensorflow as tf


def transformed(images: Any, matrices: Any, offset_x: Any, offset_y: Any) -> Any:
    r"""Moves pixels about the centre, with black outside.

    Output pixel $(x, y)$ is read, with bilinear interpolation, at $A\,(x - c) + c + t$, where $c$ is the centre.

    Args:
        images: ``(b, h, w, c)``.
        matrices: $A$: its four numbers by row, each ``(b,)``.
        offset_x, offset_y: $t$ in pixels, ``(b,)``.

    Returns:
        The same shape and type.
    """
    height, width = images.shape[1], images.shape[2]
    a, b, c, d = matrices
    x, y = (width - 1) / 2, (height - 1) / 2
    zeros = tf.zeros_like(a)
    rows = [a, b, x - a * x - b * y + offset_x, c, d, y - c * x - d * y + offset_y, zeros, zeros]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack(rows, axis=1),
        output_shape=[height, width],
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
        fill_value=0.0,
    )
