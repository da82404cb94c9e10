"""A small rotation, zoom and shift."""

from typing import Any

import tensorflow as tf

from tfdl.config.augmentations import AugmentationConfig
from tfdl.data.augmentation.change import ImageChange
from tfdl.data.augmentation.transform import transformed

# Largest rotation (radians), zoom (share of the size) and shift (share of the size), to either side.
_ROTATION, _ZOOM, _SHIFT = 0.15, 0.1, 1 / 16


def build(config: AugmentationConfig) -> ImageChange:  # noqa: ARG001
    """See ``affine``."""
    return ImageChange(affine, 4)


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
    cosine, sine = tf.cos(angle) / zoom, tf.sin(angle) / zoom
    shift_x, shift_y = signed[:, 2] * _SHIFT * width, signed[:, 3] * _SHIFT * height
    return transformed(images, (cosine, -sine, sine, cosine), shift_x, shift_y)
