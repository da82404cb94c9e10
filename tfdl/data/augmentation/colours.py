"""Changes of an image's values, each to the same numbers as Pillow's.

All take one uint8 image ``(h, w, c)`` of one or three channels and return one of the same shape.
"""

from typing import Any

import tensorflow as tf


def auto_contrast(image: Any) -> Any:
    """Each channel stretched from its least and largest value to 0 and 255."""
    values = tf.cast(image, tf.float32)
    low, high = tf.reduce_min(values, (0, 1)), tf.reduce_max(values, (0, 1))  # (c,)
    scale = tf.math.divide_no_nan(255.0, high - low)
    # A hair above, since 255 / (high - low) times that is not always 255 in float32.
    stretched = tf.clip_by_value(tf.floor((values - low) * scale + 1e-3), 0.0, 255.0)
    return tf.cast(tf.where(high > low, stretched, values), tf.uint8)


def equalize(image: Any) -> Any:
    """Each channel mapped so that its values are used about equally often."""
    channels = [_equalized(image[..., channel]) for channel in range(image.shape[2])]
    return tf.stack(channels, axis=2)


def _equalized(channel: Any) -> Any:
    values = tf.cast(channel, tf.int32)
    histogram = tf.math.bincount(tf.reshape(values, [-1]), minlength=256, maxlength=256)
    last = tf.gather(histogram, tf.reduce_max(values))
    step = (tf.size(values) - last) // 255
    table = (tf.cumsum(histogram, exclusive=True) + step // 2) // tf.maximum(step, 1)
    return tf.cast(tf.where(step == 0, values, tf.gather(tf.clip_by_value(table, 0, 255), values)), tf.uint8)


def solarize(image: Any, threshold: int) -> Any:
    """Values from ``threshold`` (0 to 256) on inverted."""
    return tf.where(tf.cast(image, tf.int32) < threshold, image, 255 - image)


def posterize(image: Any, bits: int) -> Any:
    """The ``bits`` (1 to 8) highest bits of each value."""
    return tf.bitwise.bitwise_and(image, tf.constant(256 - 2 ** (8 - bits), tf.uint8))


def colour(image: Any, factor: Any) -> Any:
    """From grey (0) over the image (1) to stronger colours."""
    return image if image.shape[2] == 1 else _blended(_grey(image), image, factor)


def contrast(image: Any, factor: Any) -> Any:
    """From its mean grey (0) over the image (1) to more contrast."""
    mean = tf.floor(tf.reduce_mean(tf.cast(_grey(image), tf.float32)) + 0.5)
    return _blended(tf.fill(tf.shape(image), tf.cast(mean, tf.uint8)), image, factor)


def brightness(image: Any, factor: Any) -> Any:
    """From black (0) over the image (1) to more light."""
    return _blended(tf.zeros_like(image), image, factor)


def sharpness(image: Any, factor: Any) -> Any:
    """From smoothed (0) over the image (1) to sharpened; the outermost pixels stay."""
    values = tf.cast(image, tf.float32)[tf.newaxis]
    kernel = tf.reshape(tf.constant([1, 1, 1, 1, 5, 1, 1, 1, 1], tf.float32) / 13, [3, 3, 1, 1])
    kernel = tf.tile(kernel, [1, 1, image.shape[2], 1])
    smooth = tf.floor(tf.nn.depthwise_conv2d(values, kernel, [1, 1, 1, 1], "VALID")[0] + 0.5)
    smooth = tf.cast(tf.clip_by_value(smooth, 0.0, 255.0), tf.uint8)
    middle = tf.pad(tf.ones_like(smooth, tf.bool), [[1, 1], [1, 1], [0, 0]])
    degenerate = tf.where(middle, tf.pad(smooth, [[1, 1], [1, 1], [0, 0]]), image)
    return _blended(degenerate, image, factor)


def _grey(image: Any) -> Any:
    """The luma of ITU-R BT.601, in all channels."""
    if image.shape[2] == 1:
        return image
    weights = tf.constant([19595, 38470, 7471])
    grey = (tf.reduce_sum(tf.cast(image, tf.int32) * weights, -1, keepdims=True) + 32768) // 65536
    return tf.tile(tf.cast(grey, tf.uint8), [1, 1, 3])


def _blended(first: Any, second: Any, factor: Any) -> Any:
    first, second = tf.cast(first, tf.float32), tf.cast(second, tf.float32)
    return tf.cast(tf.clip_by_value(first + factor * (second - first), 0.0, 255.0), tf.uint8)
