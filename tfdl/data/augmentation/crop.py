"""A crop of the image with a border around it."""

from typing import Any

import tensorflow as tf

# Of the size, on each side: 4 of 32 pixels (He et al., 2015).
_BORDER = 1 / 8


def crop(images: Any, draws: Any) -> Any:
    """A piece of the image's own size out of the image with a black border (He et al., 2015, arXiv:1512.03385, 4.2).

    Args:
        images: ``(b, h, w, c)``.
        draws: ``(b, 2)`` in [0, 1): where the piece stands, from the top and from the left.

    Returns:
        The same shape and type.
    """
    height, width = images.shape[1], images.shape[2]
    border_y, border_x = round(height * _BORDER), round(width * _BORDER)
    padded = tf.pad(images, [[0, 0], [border_y, border_y], [border_x, border_x], [0, 0]])
    top = tf.cast(draws[:, 0] * (2 * border_y + 1), tf.int32)[:, tf.newaxis] + tf.range(height)  # (b, h)
    left = tf.cast(draws[:, 1] * (2 * border_x + 1), tf.int32)[:, tf.newaxis] + tf.range(width)  # (b, w)
    rows = tf.gather(padded, top, axis=1, batch_dims=1)  # (b, h, w + 2 border, c)
    return tf.gather(rows, left, axis=2, batch_dims=1)
