"""A horizontal flip."""

from typing import Any

import tensorflow as tf

from tfdl.config.augmentations import AugmentationConfig
from tfdl.data.augmentation.change import ImageChange


def build(config: AugmentationConfig) -> ImageChange:  # noqa: ARG001
    """See ``flip``."""
    return ImageChange(flip, 1)


def flip(images: Any, draws: Any) -> Any:
    """Exchanges left and right, with a probability of 0.5.

    Args:
        images: ``(b, h, w, c)``.
        draws: ``(b, 1)`` in [0, 1): below 0.5 the image stays as it is.

    Returns:
        The same shape and type.
    """
    height, width, channels = images.shape[1:]
    # TensorFlow has a special loop to reverse rows of pixels, and whole images are copied to choose. For 32x32x3 this
    # takes a tenth of the time of `images[:, :, ::-1]` and a `where` over all pixels.
    rows = tf.reshape(images, [-1, width, channels])
    flipped = tf.reshape(tf.reverse(rows, [1]), [-1, height, width, channels])
    num_images = tf.shape(images)[0]
    is_flipped = tf.cast(draws[:, 0] >= 0.5, tf.int32)  # (b,)
    chosen = tf.range(num_images) + num_images * is_flipped
    return tf.gather(tf.concat([images, flipped], 0), chosen)
