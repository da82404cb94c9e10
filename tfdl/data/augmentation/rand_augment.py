"""RandAugment: two changes of a kind and strength that fit most images."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf

from tfdl.config.augmentations import AugmentationConfig
from tfdl.data.augmentation import colours
from tfdl.data.augmentation.change import ImageChange
from tfdl.data.augmentation.transform import transformed

# Of 30, as in the paper's ImageNet experiments and the libraries that followed it.
_MAGNITUDE = 9 / 30
_TIMES = 2
_ROTATION, _SHEAR, _SHIFT, _STRENGTH = math.radians(30), 0.3, 0.45, 0.9


def build(config: AugmentationConfig) -> ImageChange:  # noqa: ARG001
    """See ``rand_augment``."""
    return ImageChange(rand_augment, 4)


def rand_augment(images: Any, draws: Any) -> Any:
    """RandAugment (Cubuk et al., 2019, arXiv:1909.13719), N = 2, M = 9 of 30.

    Twice in a row, one of fourteen changes: none, contrast stretched or equalized, inverted above a threshold, fewer
    bits, more or less colour, contrast, brightness or sharpness, turned, sheared or shifted either way. Those of colour
    are Pillow's, and leave images of one channel as they are where they have no meaning.

    Args:
        images: uint8 ``(b, h, w, c)``.
        draws: ``(b, 4)`` in [0, 1): twice which change, and its sign.

    Returns:
        uint8, the same shape.
    """

    def changed(one: tuple[Any, Any]) -> Any:
        image, numbers = one
        for time in range(_TIMES):
            image = _changed(image, numbers[2 * time], numbers[2 * time + 1])
        return image

    return tf.map_fn(changed, (images, draws), fn_output_signature=tf.TensorSpec(images.shape[1:], images.dtype))


def _changed(image: Any, which: Any, side: Any) -> Any:
    sign = tf.where(side < 0.5, -1.0, 1.0)
    branches = [partial(change, image, sign) for change in CHANGES.values()]
    changed = tf.switch_case(tf.cast(which * len(CHANGES), tf.int32), branches)
    return tf.ensure_shape(changed, image.shape)


def _moved(image: Any, matrix: tuple[Any, Any, Any, Any], x: Any = 0.0, y: Any = 0.0) -> Any:
    numbers = tuple(tf.reshape(tf.cast(value, tf.float32), [1]) for value in matrix)
    return transformed(image[tf.newaxis], numbers, x, y)[0]


def _turned(image: Any, sign: Any) -> Any:
    angle = sign * _ROTATION * _MAGNITUDE
    return _moved(image, (tf.cos(angle), -tf.sin(angle), tf.sin(angle), tf.cos(angle)))


CHANGES: dict[str, Callable[[Any, Any], Any]] = {
    "identity": lambda image, _: image,
    "auto_contrast": lambda image, _: colours.auto_contrast(image),
    "equalize": lambda image, _: colours.equalize(image),
    "rotate": _turned,
    "solarize": lambda image, _: colours.solarize(image, round(256 * (1 - _MAGNITUDE))),
    "colour": lambda image, sign: colours.colour(image, 1 + sign * _STRENGTH * _MAGNITUDE),
    "posterize": lambda image, _: colours.posterize(image, 8 - round(4 * _MAGNITUDE)),
    "contrast": lambda image, sign: colours.contrast(image, 1 + sign * _STRENGTH * _MAGNITUDE),
    "brightness": lambda image, sign: colours.brightness(image, 1 + sign * _STRENGTH * _MAGNITUDE),
    "sharpness": lambda image, sign: colours.sharpness(image, 1 + sign * _STRENGTH * _MAGNITUDE),
    "shear_x": lambda image, sign: _moved(image, (1.0, sign * _SHEAR * _MAGNITUDE, 0.0, 1.0)),
    "shear_y": lambda image, sign: _moved(image, (1.0, 0.0, sign * _SHEAR * _MAGNITUDE, 1.0)),
    "shift_x": lambda image, sign: _moved(image, (1.0, 0.0, 0.0, 1.0), x=sign * _SHIFT * _MAGNITUDE * image.shape[1]),
    "shift_y": lambda image, sign: _moved(image, (1.0, 0.0, 0.0, 1.0), y=sign * _SHIFT * _MAGNITUDE * image.shape[0]),
}
"""Name -> a uint8 image ``(h, w, c)`` and a sign to a changed one."""
