"""A small rotation, zoom and shift."""

from typing import Any

import tensorflow as tf

from tfdl.config.augmentations import AugmentationConfig
from tfdl.data.augmentation.change import ImageChange
from tfdl.data.augmentation.transform import transformed

# Largest change in either direction.
_ROTATION = 0.15  # radians
_ZOOM = 0.1  # fraction of the size
_SHIFT = 1 / 16  # fraction of the size


def build(config: AugmentationConfig) -> ImageChange:  # noqa: ARG001
    """See ``affine``."""
    return ImageChange(affine, 4)


def affine(images: Any, draws: Any) -> Any:
    """A small rotation, zoom and shift about the centre, with black outside.

    Args:
        images: uint8 ``(b, h, w, c)``.
        draws: ``(b, 4)`` in [0, 1): rotation, zoom, horizontal shift, vertical shift.

    Returns:
        uint8, the same shape.
    """
    height, width = images.shape[1:3]
    signed = 2.0 * tf.cast(draws, tf.float32) - 1.0  # (b, 4) in [-1, 1)
    angle = signed[:, 0] * _ROTATION
    zoom = 1.0 + signed[:, 1] * _ZOOM
    cosine = tf.cos(angle) / zoom
    sine = tf.sin(angle) / zoom
    shift_x = signed[:, 2] * _SHIFT * width
    shift_y = signed[:, 3] * _SHIFT * height
    return transformed(images, (cosine, -sine, sine, cosine), shift_x, shift_y)
