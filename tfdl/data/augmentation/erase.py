"""A rectangle of the image erased."""

from typing import Any

import tensorflow as tf

from tfdl.config.augmentations import AugmentationConfig
from tfdl.data.augmentation.boxes import inside
from tfdl.data.augmentation.change import ImageChange

# Chance; least and most of the image's area; least aspect, height over width (the most is its inverse).
_CHANCE, _AREA, _ASPECT = 0.5, (0.02, 1 / 3), 0.3
_GREY = 128


def build(config: AugmentationConfig) -> ImageChange:  # noqa: ARG001
    """See ``erase``."""
    return ImageChange(erase, 5)


def erase(images: Any, draws: Any) -> Any:
    r"""Random erasing (Zhong et al., 2017, arXiv:1708.04896): a grey rectangle, in every second image by chance.

    Its area is uniform from 0.02 to a third of the image's, its aspect $a$ uniform in $\log a$ from 0.3 to 1/0.3; a
    side that would be longer than the image's is as long.

    Args:
        images: uint8 ``(b, h, w, c)``.
        draws: ``(b, 5)`` in [0, 1): whether, area, aspect, place from the top and from the left.

    Returns:
        uint8, the same shape.
    """
    height, width = images.shape[1], images.shape[2]
    area = height * width * (_AREA[0] + draws[:, 1] * (_AREA[1] - _AREA[0]))
    aspect = tf.exp((2 * draws[:, 2] - 1) * tf.math.log(1 / _ASPECT))
    box_height = tf.clip_by_value(tf.cast(tf.round(tf.sqrt(area * aspect)), tf.int32), 1, height)
    box_width = tf.clip_by_value(tf.cast(tf.round(tf.sqrt(area / aspect)), tf.int32), 1, width)
    top = tf.cast(draws[:, 3] * tf.cast(height - box_height + 1, tf.float32), tf.int32)
    left = tf.cast(draws[:, 4] * tf.cast(width - box_width + 1, tf.float32), tf.int32)
    erased = inside(images.shape, top, left, box_height, box_width)
    happens = (draws[:, 0] < _CHANCE)[:, tf.newaxis, tf.newaxis, tf.newaxis]
    return tf.where(happens & erased, tf.constant(_GREY, images.dtype), images)
