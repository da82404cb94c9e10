"""Image classification sets, wherever they are read from: splits of images of one shape, with class numbers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.config import DatasetConfig
from tfdl.data.pipeline import load_into_memory
from tfdl.data.sources import Source
from tfdl.errors import UserError

FIRST_RULES = 1
"""How the image files of runs that record no rules become pixels: see ``tfdl.data.files.image_rules``."""
CURRENT_RULES = 2
"""How the image files of a new run become pixels."""

# Images that are resized may be photos of many megabytes each, whose contents are in memory at once.
_RESIZED_TOGETHER = 16


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
    """Lines to show when the run starts, such as how many images were left out."""


def in_memory_if_it_fits(source: Any, config: DatasetConfig) -> Source:
    """The source itself, or its images decoded once and held in memory if ``memory_limit_mb`` allows it.

    Args:
        source: reads decoded images; its ``signature`` gives their shape.
        config: the data set's configuration.
    """
    num_bytes = source.num_examples * np.prod(source.signature["image"].shape)
    if num_bytes <= config.memory_limit_mb * 2**20:
        return load_into_memory(source) if config.image_size is None else load_into_memory(source, _RESIZED_TOGETHER)
    return source


def resize(images: Any, size: tuple[int, int]) -> Any:
    """Resizes images; the SavedModel uses the same function.

    Args:
        images: uint8 ``(..., h, w, c)``.
        size: the new height and width.

    Returns:
        uint8 ``(..., *size, c)``.
    """
    resized = tf.image.resize(images, size, method="bilinear", antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)


def common_image_shape(name: str, shape: tuple[int | None, ...], size: tuple[int, int] | None) -> tuple[int, int, int]:
    """The shape that all images are resized to.

    Args:
        name: the data set, for the error message.
        shape: height, width and channels of its images; ``None`` where they differ.
        size: the configured height and width, if any.

    Returns:
        Height, width and channels; 3 channels if they are unknown.

    Raises:
        UserError: the images differ in size, and no size is configured.
    """
    height, width, channels = shape
    if size is not None:
        height, width = size
    if height is None or width is None:
        raise UserError(
            f"images of {name!r} differ in size, expected one size: give --image-size, such as --image-size 224"
        )
    return height, width, channels or 3
