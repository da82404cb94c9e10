"""Left and right exchanged."""

from typing import Any

import tensorflow as tf


def flip(images: Any, draws: Any) -> Any:
    """Every second image, by chance, seen in a mirror.

    Args:
        images: ``(b, h, w, c)``.
        draws: ``(b, 1)`` in [0, 1): below a half the image stays as it is.

    Returns:
        The same shape and type.
    """
    turned = draws[:, 0] >= 0.5
    return tf.where(turned[:, tf.newaxis, tf.newaxis, tf.newaxis], images[:, :, ::-1], images)
