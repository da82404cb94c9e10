"""Random changes of training images, each a function of numbers drawn for one sample in one epoch.

The draws come with the order (see ``pipeline``), so an image is changed alike on any number of ranks, and after a
resume.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

NUM_DRAWS = 4
"""Uniform numbers in [0, 1) that each sample gets in each epoch."""

# Largest rotation (radians), zoom (share of the size) and shift (share of the size), to either side.
_ROTATION, _ZOOM, _SHIFT = 0.15, 0.1, 1 / 16


def affine(images: Any, draws: Any) -> Any:
    """A small rotation, zoom and shift about the centre, with black outside.

    Args:
        images: uint8 ``(b, h, w, c)``.
        draws: ``(b, 4)`` in [0, 1): rotation, zoom, shift to the side, shift up or down.

    Returns:
        uint8, the same shape.
    """
    height, width = images.shape[1], images.shape[2]
    signed = 2.0 * tf.cast(draws, tf.float32) - 1.0
    angle, zoom = signed[:, 0] * _ROTATION, 1.0 + signed[:, 1] * _ZOOM
    shift_x, shift_y = signed[:, 2] * _SHIFT * width, signed[:, 3] * _SHIFT * height
    cosine, sine = tf.cos(angle) / zoom, tf.sin(angle) / zoom
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    zeros = tf.zeros_like(angle)
    # Output pixel (x, y) is read from (a0 x + a1 y + a2, b0 x + b1 y + b2).
    transforms = tf.stack(
        [
            cosine,
            -sine,
            centre_x - cosine * centre_x + sine * centre_y + shift_x,
            sine,
            cosine,
            centre_y - sine * centre_x - cosine * centre_y + shift_y,
            zeros,
            zeros,
        ],
        axis=1,
    )
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=[height, width],
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
        fill_value=0.0,
    )


AUGMENTATIONS: dict[str, Callable[[Any, Any], Any]] = {"affine": affine}
