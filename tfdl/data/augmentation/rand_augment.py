"""RandAugment: two changes, drawn from fourteen, of a fixed magnitude."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf

from tfdl.config.augmentations import AugmentationConfig
from tfdl.data.augmentation import colours
from tfdl.data.augmentation.change import ImageChange
from tfdl.data.augmentation.transform import transformed

# 9 of 30, as in the paper's experiments on ImageNet and the libraries that followed it.
_MAGNITUDE = 9 / 30
_NUM_CHANGES = 2
# The changes at magnitude 30 of 30.
_ROTATION = math.radians(30)
_SHEAR = 0.3  # pixels for each pixel of the other axis
_SHIFT = 0.45  # fraction of the size
_ENHANCEMENT = 0.9  # of colour, contrast, brightness and sharpness; added to or taken from a factor of 1


def build(config: AugmentationConfig) -> ImageChange:  # noqa: ARG001
    """See ``rand_augment``."""
    return ImageChange(rand_augment, 4)


def rand_augment(images: Any, draws: Any) -> Any:
    """RandAugment (Cubuk et al., 2019, arXiv:1909.13719), N = 2, M = 9 of 30.

    Each image is changed twice, each time by one of the fourteen ``CHANGES``. Changes of colours are Pillow's; those
    that have no meaning for grey images leave images of one channel as they are.

    Args:
        images: uint8 ``(b, h, w, c)``.
        draws: ``(b, 4)`` in [0, 1): the first change, its sign, the second change, its sign.

    Returns:
        uint8, the same shape.
    """

    def change_twice(image_and_draws: tuple[Any, Any]) -> Any:
        image, own_draws = image_and_draws
        for number in range(_NUM_CHANGES):
            image = _changed(image, own_draws[2 * number], own_draws[2 * number + 1])
        return image

    return tf.map_fn(change_twice, (images, draws), fn_output_signature=tf.TensorSpec(images.shape[1:], images.dtype))


def _changed(image: Any, change_draw: Any, sign_draw: Any) -> Any:
    sign = tf.where(sign_draw < 0.5, -1.0, 1.0)
    branches = [partial(change, image, sign) for change in CHANGES.values()]
    chosen = tf.cast(change_draw * len(CHANGES), tf.int32)
    return tf.ensure_shape(tf.switch_case(chosen, branches), image.shape)


def _moved(image: Any, matrix: tuple[Any, Any, Any, Any], x: Any = 0.0, y: Any = 0.0) -> Any:
    """One image by ``transformed``, which takes a batch."""
    matrices = tuple(tf.reshape(tf.cast(value, tf.float32), [1]) for value in matrix)
    return transformed(image[tf.newaxis], matrices, x, y)[0]


def _rotated(image: Any, sign: Any) -> Any:
    angle = sign * _ROTATION * _MAGNITUDE
    return _moved(image, (tf.cos(angle), -tf.sin(angle), tf.sin(angle), tf.cos(angle)))


CHANGES: dict[str, Callable[[Any, Any], Any]] = {
    "identity": lambda image, _: image,
    "auto_contrast": lambda image, _: colours.auto_contrast(image),
    "equalize": lambda image, _: colours.equalize(image),
    "rotate": _rotated,
    "solarize": lambda image, _: colours.solarize(image, round(256 * (1 - _MAGNITUDE))),
    "colour": lambda image, sign: colours.colour(image, 1 + sign * _ENHANCEMENT * _MAGNITUDE),
    "posterize": lambda image, _: colours.posterize(image, 8 - round(4 * _MAGNITUDE)),
    "contrast": lambda image, sign: colours.contrast(image, 1 + sign * _ENHANCEMENT * _MAGNITUDE),
    "brightness": lambda image, sign: colours.brightness(image, 1 + sign * _ENHANCEMENT * _MAGNITUDE),
    "sharpness": lambda image, sign: colours.sharpness(image, 1 + sign * _ENHANCEMENT * _MAGNITUDE),
    "shear_x": lambda image, sign: _moved(image, (1.0, sign * _SHEAR * _MAGNITUDE, 0.0, 1.0)),
    "shear_y": lambda image, sign: _moved(image, (1.0, 0.0, sign * _SHEAR * _MAGNITUDE, 1.0)),
    "shift_x": lambda image, sign: _moved(image, (1.0, 0.0, 0.0, 1.0), x=sign * _SHIFT * _MAGNITUDE * image.shape[1]),
    "shift_y": lambda image, sign: _moved(image, (1.0, 0.0, 0.0, 1.0), y=sign * _SHIFT * _MAGNITUDE * image.shape[0]),
}
"""Name -> a function of a uint8 image ``(h, w, c)`` and a sign (-1 or 1) that returns the changed image."""
