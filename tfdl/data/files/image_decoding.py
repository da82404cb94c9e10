"""Decodes image files inside a graph, each file in the way that was found for it before the run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data.files.pillow_images import pixels

# Number of an EXIF orientation -> the order of the axes, and then the direction in which each is read. 0 is unused.
_AXES = [[0, 1, 2]] * 5 + [[1, 0, 2]] * 4
_DIRECTIONS = [
    [1, 1, 1],
    [1, 1, 1],
    [1, -1, 1],
    [-1, -1, 1],
    [-1, 1, 1],
    [1, 1, 1],
    [1, -1, 1],
    [-1, -1, 1],
    [-1, 1, 1],
]


class Way(IntEnum):
    """What decodes a file."""

    KERNEL = 0
    """TensorFlow's kernel."""
    KERNEL_ON_WHITE = 1
    """TensorFlow's kernel reads colours and transparency; the image is put on white."""
    PILLOW = 2
    """Pillow, for the kinds of files that TensorFlow's kernel reads wrongly or not at all. This is Python code."""


@dataclass(frozen=True)
class Kind:
    """How a file becomes an image."""

    way: Way = Way.KERNEL
    orientation: int = 1
    """EXIF's number, 1 to 8; 1 is upright."""


class ImageDecoder:
    """Decodes files of a data set. What none of its files needs is not in the graph.

    Args:
        kinds: the kind of each file.
        channels: 1 or 3, of the decoded images.
    """

    def __init__(self, kinds: Sequence[Kind], channels: int):
        self._channels = channels
        self._ways = sorted({kind.way for kind in kinds})
        self._is_turned = any(kind.orientation != 1 for kind in kinds)
        with tf.device("CPU:0"):
            self._branches = tf.constant([self._ways.index(kind.way) for kind in kinds], tf.int32)
            self._orientations = tf.constant([kind.orientation for kind in kinds], tf.int32)

    def choices(self, numbers: Any) -> dict[str, Any]:
        """What ``__call__`` must know of some of the files; nothing if all files are of one kind and upright.

        Args:
            numbers: the files' places in ``kinds``.

        Returns:
            ``branch`` and ``orientation`` of each.
        """
        choices = {}
        if len(self._ways) > 1:
            choices["branch"] = tf.gather(self._branches, numbers)
        if self._is_turned:
            choices["orientation"] = tf.gather(self._orientations, numbers)
        return choices

    def __call__(self, data: Any, choices: Mapping[str, Any]) -> Any:
        """An image, upright and without transparency.

        Args:
            data: the bytes of a file.
            choices: those of this file.

        Returns:
            uint8 ``(h, w, channels)``.
        """
        branches = [partial(decoded, data, way, self._channels) for way in self._ways]
        image = tf.switch_case(choices["branch"], branches) if "branch" in choices else branches[0]()
        if "orientation" in choices:
            image = turned(image, choices["orientation"])
        return tf.ensure_shape(image, [None, None, self._channels])


def decoded(data: Any, way: Way, channels: int) -> Any:
    """An image as it is stored, without transparency.

    Args:
        data: the bytes of a file.
        way: what decodes it.
        channels: 1 for an image without colours, or 3.

    Returns:
        uint8 ``(h, w, channels)``.
    """
    return _DECODERS[way](data, channels)


def turned(image: Any, orientation: Any) -> Any:
    """An image as viewers show it.

    There is no branch: for an image that is upright, both operations pass on what they get.

    Args:
        image: ``(h, w, c)``, as it is stored.
        orientation: EXIF's number, 1 to 8.

    Returns:
        ``(h, w, c)``, or ``(w, h, c)`` for 5 to 8.
    """
    image = tf.transpose(image, tf.gather(tf.constant(_AXES), orientation))
    directions = tf.gather(tf.constant(_DIRECTIONS), orientation)
    return tf.strided_slice(image, [0, 0, 0], [0, 0, 0], directions, begin_mask=0b111, end_mask=0b111)


def on_white(image: Any) -> Any:
    """Puts an image with transparency on white, rounded to the nearest number like Pillow's ``alpha_composite``.

    Args:
        image: uint8 ``(h, w, 4)``, the last channel being the opacity.

    Returns:
        uint8 ``(h, w, 3)``.
    """
    values = tf.cast(image, tf.int32)
    opacity = values[..., 3:]
    total = values[..., :3] * opacity + 255 * (255 - opacity)
    return tf.cast((total + 127) // 255, tf.uint8)


def _by_kernel(data: Any, channels: int) -> Any:
    return tf.io.decode_image(data, channels=channels, expand_animations=False)


def _by_kernel_on_white(data: Any, channels: int) -> Any:
    image = tf.io.decode_image(data, channels=4, expand_animations=False)
    # The channels of a grey image are equal.
    return on_white(image)[..., :channels]


def _by_pillow(data: Any, channels: int) -> Any:
    def pixels_of(contents: Any) -> np.ndarray:
        # Outside a graph, TensorFlow passes an array instead of the bytes.
        return pixels(np.asarray(contents, object).item(), channels)

    image = tf.numpy_function(pixels_of, [data], tf.uint8)
    return tf.ensure_shape(image, [None, None, channels])


_DECODERS: dict[Way, Callable[[Any, int], Any]] = {
    Way.KERNEL: _by_kernel,
    Way.KERNEL_ON_WHITE: _by_kernel_on_white,
    Way.PILLOW: _by_pillow,
}
