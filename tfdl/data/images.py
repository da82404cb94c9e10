"""Image classification sets: any TFDS builder with one image and one class label."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.config import DatasetConfig
from tfdl.data.catalog import open_builder
from tfdl.data.files.paths import is_local
from tfdl.data.pipeline import load_into_memory
from tfdl.data.records import open_records
from tfdl.data.roles import feature_keys, only, role_keys, value_at
from tfdl.data.sources import RecordSource, Source
from tfdl.data.splits import choose_splits
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
    """What the user should hear of it (images that were left out)."""


def open_images(config: DatasetConfig) -> ImageDataset:
    """Opens the three splits of the user's images, or of a TFDS set, which is prepared where it is not.

    Raises:
        UserError: unknown set or split, not an image classification set, images of many sizes, or unlabelled samples.
    """
    if is_local(config.name):
        from tfdl.data.files import open_image_folder

        return open_image_folder(config)
    builder = open_builder(config.name, config.data_dir)
    keys = role_keys(builder, ("image", "label"), config.columns)
    features = feature_keys(builder.info.features)
    shape = the_one_shape(builder.name, features[keys["image"]].shape, config.image_size)
    decode = _decoder(builder, keys, config.image_size)
    signature = {"image": tf.TensorSpec(shape, tf.uint8), "label": tf.TensorSpec((), tf.int32)}
    sources: dict[str, Source] = {}
    for name, split in choose_splits(config, {key: info.num_examples for key, info in builder.info.splits.items()}):
        source = RecordSource(open_records(builder, split), decode, signature)
        if source.num_examples == 0:
            raise UserError(f"split {split!r} of {config.name!r} is empty; choose another dataset.{name}_split")
        sources[name] = in_memory_where_it_fits(source, config)
        _check_labelled(sources[name], config.name, name, split)
    names = tuple(features[keys["label"]].names)
    return ImageDataset(config.name, shape, names, sources)


def in_memory_where_it_fits(source: Any, config: DatasetConfig) -> Source:
    """The source, decoded once and for all where ``memory_limit_mb`` allows it."""
    size = source.num_examples * np.prod(source.signature["image"].shape)
    return load_into_memory(source) if size <= config.memory_limit_mb * 2**20 else source


def resize(images: Any, size: tuple[int, int]) -> Any:
    """uint8 images ``(..., h, w, c)`` at another height and width; the same function serves in the SavedModel."""
    resized = tf.image.resize(images, size, method="bilinear", antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)


def the_one_shape(name: str, shape: tuple[int | None, ...], size: tuple[int, int] | None) -> tuple[int, int, int]:
    """The shape that all images are brought to.

    Raises:
        UserError: they differ, and no size is given.
    """
    height, width, channels = shape
    if size is not None:
        height, width = size
    if height is None or width is None:
        raise UserError(
            f"images of {name!r} differ in size, expected one size: give --image-size, such as --image-size 224"
        )
    return height, width, channels or 3


def _decoder(builder: Any, keys: dict[str, str], size: tuple[int, int] | None) -> Any:
    features = only(builder.info.features, keys.values())

    def decode(serialized: Any) -> dict[str, Any]:
        example = features.deserialize_example(serialized)
        image = value_at(features, example, keys["image"])
        if image.dtype != tf.uint8:  # 16-bit PNG
            image = tf.image.convert_image_dtype(image, tf.uint8)
        return {
            "image": image if size is None else resize(image, size),
            "label": tf.cast(value_at(features, example, keys["label"]), tf.int32),
        }

    return decode


def _check_labelled(source: Source, name: str, role: str, split: str) -> None:
    """Some test splits are published without labels, as -1 throughout."""
    first = source.read(tf.range(min(8, source.num_examples), dtype=tf.int64))["label"]
    if int(tf.reduce_min(first)) < 0:
        raise UserError(
            f"split {split!r} of {name!r} has no labels; choose another with --set dataset.{role}_split=SPLIT"
        )
