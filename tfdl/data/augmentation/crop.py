"""A crop of the image with a border around it."""

from typing import Any

import tensorflow as tf

from tfdl.config.augmentations import AugmentationConfig
from tfdl.data.augmentation.change import ImageChange

# Of the size, on each side: 4 of 32 pixels (He et al., 2015).
_BORDER = 1 / 8


def build(config: AugmentationConfig) -> ImageChange:  # noqa: ARG001
    """See ``crop``."""
    return ImageChange(crop, 2)


def crop(images: Any, draws: Any) -> Any:
    """A piece of the image's own size out of the image with a black border (He et al., 2015, arXiv:1512.03385, 4.2).

    Args:
        images: ``(b, h, w, c)``.
        draws: ``(b, 2)`` in [0, 1): where the piece stands, from the top and from the left.

    Returns:
        The same shape and type.
    """
    height, width, channels = images.shape[1:]
    border_y, border_x = round(height * _BORDER), round(width * _BORDER)
    top = tf.cast(draws[:, 0] * (2 * border_y + 1), tf.int32)  # (b,)
    left = tf.cast(draws[:, 1] * (2 * border_x + 1), tf.int32)
    pixels = tf.reshape(_bordered(images, border_y, border_x), [-1, channels])
    # Each row is cut into three runs of pixels, and the middle one of the piece's rows copied: for one channel a third
    # of the time of taking pixel by pixel.
    samples, all_rows, all_columns = tf.shape(images)[0], height + 2 * border_y, width + 2 * border_x
    rows = tf.range(samples * all_rows)  # (b * all_rows,)
    before = tf.repeat(left, all_rows)
    begins = tf.stack([tf.zeros_like(rows), before, before + width], 1) + all_columns * rows[:, tf.newaxis]
    runs = tf.RaggedTensor.from_row_starts(pixels, tf.reshape(begins, [-1]), validate=False)
    first = all_rows * tf.range(samples) + top
    middle = 3 * (first[:, tf.newaxis] + tf.range(height)) + 1  # (b, h)
    return tf.reshape(tf.gather(runs, tf.reshape(middle, [-1])).values, tf.shape(images))


def _bordered(images: Any, border_y: int, border_x: int) -> Any:
    """With black around them, put beside whole rows and whole images: `tf.pad` of four axes takes twice as long."""
    height, width, channels = images.shape[1:]
    all_rows, all_columns = height + 2 * border_y, width + 2 * border_x
    side, edge = border_x * channels, border_y * all_columns * channels
    rows = tf.pad(tf.reshape(images, [-1, width * channels]), [[0, 0], [side, side]])
    whole = tf.pad(tf.reshape(rows, [-1, height * all_columns * channels]), [[0, 0], [edge, edge]])
    return tf.reshape(whole, [-1, all_rows, all_columns, channels])
