"""Rectangles within images."""

from typing import Any

import tensorflow as tf


def inside(shape: Any, top: Any, left: Any, height: Any, width: Any) -> Any:
    """Which pixels a rectangle covers.

    Args:
        shape: shape of the images, ``(b, h, w, c)``.
        top: first row of each rectangle, int32 ``(b,)``. A rectangle may reach beyond the image.
        left: first column, int32 ``(b,)``.
        height: in pixels, int32 ``(b,)``.
        width: in pixels, int32 ``(b,)``.

    Returns:
        bool ``(b, h, w, 1)``.
    """
    y = tf.range(shape[1])[tf.newaxis]  # (1, h)
    x = tf.range(shape[2])[tf.newaxis]  # (1, w)
    rows = (y >= top[:, tf.newaxis]) & (y < (top + height)[:, tf.newaxis])  # (b, h)
    columns = (x >= left[:, tf.newaxis]) & (x < (left + width)[:, tf.newaxis])  # (b, w)
    pixels = rows[:, :, tf.newaxis] & columns[:, tf.newaxis]  # (b, h, w)
    return pixels[..., tf.newaxis]
