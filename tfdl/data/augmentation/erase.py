"""A rectangle of the image erased."""

from typing import Any

import tensorflow as tf

from tfdl.config.augmentations import AugmentationConfig
from tfdl.data.augmentation.boxes import inside
from tfdl.data.augmentation.change import ImageChange

_CHANCE = 0.5
# Area of the rectangle, as a fraction of the image's.
_LEAST_AREA = 0.02
_GREATEST_AREA = 1 / 3
# Least aspect, height over width; the greatest is its inverse.
_LEAST_ASPECT = 0.3
_GREY = 128


def build(config: AugmentationConfig) -> ImageChange:  # noqa: ARG001
    """See ``erase``."""
    return ImageChange(erase, 5)


def erase(images: Any, draws: Any) -> Any:
    r"""Random erasing (Zhong et al., 2017, arXiv:1708.04896): a grey rectangle in an image, with a probability of 0.5.

    The area is uniform from 0.02 to 1/3 of the image's. The aspect $a$ is uniform in $\log a$ from 0.3 to 1/0.3. A side
    is at most as long as the image's.

    Args:
        images: uint8 ``(b, h, w, c)``.
        draws: ``(b, 5)`` in [0, 1): whether to erase, area, aspect, distance from the top, distance from the left.

    Returns:
        uint8, the same shape.
    """
    height, width = images.shape[1:3]
    area = height * width * (_LEAST_AREA + draws[:, 1] * (_GREATEST_AREA - _LEAST_AREA))
    aspect = tf.exp((2 * draws[:, 2] - 1) * tf.math.log(1 / _LEAST_ASPECT))
    box_height = tf.clip_by_value(tf.cast(tf.round(tf.sqrt(area * aspect)), tf.int32), 1, height)
    box_width = tf.clip_by_value(tf.cast(tf.round(tf.sqrt(area / aspect)), tf.int32), 1, width)
    top = tf.cast(draws[:, 3] * tf.cast(height - box_height + 1, tf.float32), tf.int32)
    left = tf.cast(draws[:, 4] * tf.cast(width - box_width + 1, tf.float32), tf.int32)
    in_box = inside(images.shape, top, left, box_height, box_width)  # (b, h, w, 1)
    is_erased = draws[:, 0] < _CHANCE  # (b,)
    erased = is_erased[:, tf.newaxis, tf.newaxis, tf.newaxis] & in_box
    return tf.where(erased, tf.constant(_GREY, images.dtype), images)
