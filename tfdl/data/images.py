"""Image classification sets, whatever they are read from: splits of images of one shape, with class numbers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.config import DatasetConfig
from tfdl.data.pipeline import load_into_memory
from tfdl.data.sources import Source
from tfdl.errors import UserError


@dataclass(frozen=True)
class ImageDataset:
    """Splits of uint8 images with integer labels."""

    name: str
    image_shape: tuple[int, int, int]
    """Height, width and channels of the images in ``sources``."""
    class_names: tuple[str, ...]
    sources: dict[str, Source]
    """``train``, ``validation`` and ``test``; each batch is ``{"image": (b, h, w, c) uint8, "label": (b,) int32}``."""
    notes: tuple[str, ...] = ()
    """Lines to show when the run starts (images that were left out)."""


def in_memory_if_it_fits(source: Any, config: DatasetConfig) -> Source:
    """The source, decoded once and held in memory if ``memory_limit_mb`` allows it.

    Args:
        source: reads decoded images; its ``signature`` gives their shape.
        config: the data set's configuration.
    """
    size = source.num_examples * np.prod(source.signature["image"].shape)
    return load_into_memory(source) if size <= config.memory_limit_mb * 2**20 else source


def resize(images: Any, size: tuple[int, int]) -> Any:
    """uint8 images ``(..., h, w, c)`` at another height and width; the same function serves in the SavedModel."""
    resized = tf.image.resize(images, size, method="bilinear", antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)


def common_image_shape(name: str, shape: tuple[int | None, ...], size: tuple[int, int] | None) -> tuple[int, int, int]:
    """The shape that all images are resized to.

    Args:
        name: the data set, for the message.
        shape: height, width and channels of its images; ``None`` where they differ.
        size: the configured height and width, if any.

    Raises:
        UserError: the images differ in size, and no size is given.
    """
    height, width, channels = shape
    if size is not None:
        height, width = size
    if height is None or width is None:
        raise UserError(
            f"images of {name!r} differ in size, expected one size: give --image-size, such as --image-size 224"
        )
    return height, width, channels or 3
