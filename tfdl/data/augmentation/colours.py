"""Changes of an image's colours. Each gives exactly the same values as Pillow's function.

All take one uint8 image ``(h, w, c)`` of 1 or 3 channels and return one of the same shape.
"""

from typing import Any

import tensorflow as tf


def auto_contrast(image: Any) -> Any:
    """Stretches each channel, so that its least and greatest values become 0 and 255."""
    values = tf.cast(image, tf.float32)
    low = tf.reduce_min(values, (0, 1))  # (c,)
    high = tf.reduce_max(values, (0, 1))  # (c,)
    scale = tf.math.divide_no_nan(255.0, high - low)
    # Slightly more, since 255 / (high - low) * (high - low) can be below 255 in float32.
    stretched = tf.clip_by_value(tf.floor((values - low) * scale + 1e-3), 0.0, 255.0)
    return tf.cast(tf.where(high > low, stretched, values), tf.uint8)


def equalize(image: Any) -> Any:
    """Maps the values of each channel so that all occur about equally often."""
    channels = [_equalized(image[..., channel]) for channel in range(image.shape[2])]
    return tf.stack(channels, axis=2)


def _equalized(channel: Any) -> Any:
    """One channel ``(h, w)``, by the table of ``PIL.ImageOps.equalize``."""
    values = tf.cast(channel, tf.int32)
    histogram = tf.math.bincount(tf.reshape(values, [-1]), minlength=256, maxlength=256)
    count_of_greatest = tf.gather(histogram, tf.reduce_max(values))
    step = (tf.size(values) - count_of_greatest) // 255
    table = (tf.cumsum(histogram, exclusive=True) + step // 2) // tf.maximum(step, 1)
    table = tf.clip_by_value(table, 0, 255)  # (256,)
    equalized = tf.where(step == 0, values, tf.gather(table, values))
    return tf.cast(equalized, tf.uint8)


def solarize(image: Any, threshold: int) -> Any:
    """Inverts high values.

    Args:
        image: uint8 ``(h, w, c)``.
        threshold: the least value that is inverted, 0 to 256.
    """
    return tf.where(tf.cast(image, tf.int32) < threshold, image, 255 - image)


def posterize(image: Any, bits: int) -> Any:
    """Keeps the highest bits of each value.

    Args:
        image: uint8 ``(h, w, c)``.
        bits: how many bits to keep, 1 to 8.
    """
    mask = 256 - 2 ** (8 - bits)
    return tf.bitwise.bitwise_and(image, tf.constant(mask, tf.uint8))


def colour(image: Any, factor: Any) -> Any:
    """Changes the saturation of colours.

    Args:
        image: uint8 ``(h, w, c)``.
        factor: 0 gives a grey image, 1 the image itself, more than 1 stronger colours.
    """
    if image.shape[2] == 1:
        return image
    return _blended(_grey(image), image, factor)


def contrast(image: Any, factor: Any) -> Any:
    """Changes the contrast.

    Args:
        image: uint8 ``(h, w, c)``.
        factor: 0 gives the mean grey everywhere, 1 the image itself, more than 1 more contrast.
    """
    mean = tf.floor(tf.reduce_mean(tf.cast(_grey(image), tf.float32)) + 0.5)
    mean_image = tf.fill(tf.shape(image), tf.cast(mean, tf.uint8))
    return _blended(mean_image, image, factor)


def brightness(image: Any, factor: Any) -> Any:
    """Changes the brightness.

    Args:
        image: uint8 ``(h, w, c)``.
        factor: 0 gives black, 1 the image itself, more than 1 a brighter image.
    """
    return _blended(tf.zeros_like(image), image, factor)


def sharpness(image: Any, factor: Any) -> Any:
    """Changes the sharpness; the outermost pixels stay as they are.

    Args:
        image: uint8 ``(h, w, c)``.
        factor: 0 gives a smoothed image, 1 the image itself, more than 1 a sharper image.
    """
    values = tf.cast(image, tf.float32)[tf.newaxis]
    # The kernel of PIL.ImageFilter.SMOOTH.
    kernel = tf.reshape(tf.constant([1, 1, 1, 1, 5, 1, 1, 1, 1], tf.float32) / 13, [3, 3, 1, 1])
    kernel = tf.tile(kernel, [1, 1, image.shape[2], 1])
    smooth = tf.floor(tf.nn.depthwise_conv2d(values, kernel, [1, 1, 1, 1], "VALID")[0] + 0.5)
    smooth = tf.cast(tf.clip_by_value(smooth, 0.0, 255.0), tf.uint8)  # (h - 2, w - 2, c)
    border = [[1, 1], [1, 1], [0, 0]]
    is_inner = tf.pad(tf.ones_like(smooth, tf.bool), border)
    smoothed_image = tf.where(is_inner, tf.pad(smooth, border), image)
    return _blended(smoothed_image, image, factor)


def _grey(image: Any) -> Any:
    """The luma of ITU-R BT.601, in all channels."""
    if image.shape[2] == 1:
        return image
    weights = tf.constant([19595, 38470, 7471])  # 0.299, 0.587 and 0.114 times 65536, as in Pillow
    weighted_sum = tf.reduce_sum(tf.cast(image, tf.int32) * weights, -1, keepdims=True)
    grey = (weighted_sum + 32768) // 65536
    return tf.tile(tf.cast(grey, tf.uint8), [1, 1, 3])


def _blended(first: Any, second: Any, factor: Any) -> Any:
    """``first`` at factor 0, ``second`` at factor 1, extrapolated beyond; cut off at 0 and 255."""
    first = tf.cast(first, tf.float32)
    second = tf.cast(second, tf.float32)
    blended = first + factor * (second - first)
    return tf.cast(tf.clip_by_value(blended, 0.0, 255.0), tf.uint8)
