"""Image classification sets from TFDS: any builder with one image and one class label."""

from typing import Any

import tensorflow as tf

from tfdl.config import DatasetConfig
from tfdl.data.images import ImageDataset, common_image_shape, in_memory_if_it_fits, resize
from tfdl.data.sources import RecordSource, Source
from tfdl.data.tfds.catalog import open_builder
from tfdl.data.tfds.features import feature_keys, only, value_at
from tfdl.data.tfds.records import open_records
from tfdl.data.tfds.roles import role_keys
from tfdl.data.tfds.splits import choose_splits
from tfdl.errors import UserError


def open_tfds_images(config: DatasetConfig) -> ImageDataset:
    """Opens the three splits of a TFDS data set, which is prepared first if necessary.

    Raises:
        UserError: unknown set or split, not an image classification set, images of many sizes, or unlabelled samples.
    """
    builder = open_builder(config.name, config.data_dir)
    keys = role_keys(builder, ("image", "label"), config.columns)
    features = feature_keys(builder.info.features)
    shape = common_image_shape(builder.name, features[keys["image"]].shape, config.image_size)
    decode = _decoder(builder, keys, config.image_size)
    signature = {"image": tf.TensorSpec(shape, tf.uint8), "label": tf.TensorSpec((), tf.int32)}
    available = {split: info.num_examples for split, info in builder.info.splits.items()}
    sources: dict[str, Source] = {}
    for role, split in choose_splits(config, available):
        source = RecordSource(open_records(builder, split), decode, signature)
        if source.num_examples == 0:
            raise UserError(f"split {split!r} of {config.name!r} is empty; choose another dataset.{role}_split")
        sources[role] = in_memory_if_it_fits(source, config)
        _check_labelled(sources[role], config.name, role, split)
    class_names = tuple(features[keys["label"]].names)
    return ImageDataset(config.name, shape, class_names, sources)


def _decoder(builder: Any, keys: dict[str, str], size: tuple[int, int] | None) -> Any:
    """A function from a serialized example to image and label; other features are not decoded."""
    features = only(builder.info.features, keys.values())

    def decode(serialized: Any) -> dict[str, Any]:
        example = features.deserialize_example(serialized)
        image = value_at(features, example, keys["image"])
        if image.dtype != tf.uint8:  # 16-bit PNG
            image = tf.image.convert_image_dtype(image, tf.uint8)
        if size is not None:
            image = resize(image, size)
        label = value_at(features, example, keys["label"])
        return {"image": image, "label": tf.cast(label, tf.int32)}

    return decode


def _check_labelled(source: Source, name: str, role: str, split: str) -> None:
    """Raises an error for a split whose labels are all -1: some test splits are published without labels."""
    first_numbers = tf.range(min(8, source.num_examples), dtype=tf.int64)
    labels = source.read(first_numbers)["label"]
    if int(tf.reduce_min(labels)) < 0:
        raise UserError(
            f"split {split!r} of {name!r} has no labels; choose another with --set dataset.{role}_split=SPLIT"
        )
