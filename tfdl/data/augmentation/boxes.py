"""Rectangles within images."""

from typing import Any

import tensorflow as tf


def inside(shape: Any, top: Any, left: Any, height: Any, width: Any) -> Any:
    """Which pixels a rectangle covers.

    Args:
        shape: of images, ``(b, h, w, c)``.
        top, left, height, width: in pixels, each ``(b,)`` integers; what lies outside of the image covers nothing.

    Returns:
        bool ``(b, h, w, 1)``.
    """
    y, x = tf.range(shape[1])[tf.newaxis], tf.range(shape[2])[tf.newaxis]  # (1, h), (1, w)
    rows = (y >= top[:, tf.newaxis]) & (y < (top + height)[:, tf.newaxis])  # (b, h)
    columns = (x >= left[:, tf.newaxis]) & (x < (left + width)[:, tf.newaxis])  # (b, w)
    return (rows[:, :, tf.newaxis] & columns[:, tf.newaxis])[..., tf.newaxis]
