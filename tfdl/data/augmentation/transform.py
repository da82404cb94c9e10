"""Affine transformations of images, which shifts, rotations and shears have in common."""

from typing import Any

import tensorflow as tf


def transformed(images: Any, matrices: Any, offset_x: Any, offset_y: Any) -> Any:
    r"""Moves pixels about the centre, with black outside.

    Output pixel $(x, y)$ is read, with bilinear interpolation, at $A\,(x - c) + c + t$, where $c$ is the centre.

    Args:
        images: ``(b, h, w, c)``.
        matrices: the four entries of $A$, row by row, each ``(b,)``.
        offset_x: the horizontal part of $t$ in pixels, ``(b,)``.
        offset_y: the vertical part of $t$ in pixels, ``(b,)``.

    Returns:
        The same shape and type.
    """
    height, width = images.shape[1:3]
    a, b, c, d = matrices
    centre_x = (width - 1) / 2
    centre_y = (height - 1) / 2
    # A (x - c) + c + t = A x + (c - A c + t)
    constant_x = centre_x - a * centre_x - b * centre_y + offset_x
    constant_y = centre_y - c * centre_x - d * centre_y + offset_y
    zeros = tf.zeros_like(a)
    rows = [a, b, constant_x, c, d, constant_y, zeros, zeros]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack(rows, axis=1),
        output_shape=[height, width],
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
        fill_value=0.0,
    )
