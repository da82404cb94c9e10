"""Image classification sets from TFDS: any builder with one image and one class label."""

from typing import Any

import tensorflow as tf

from tfdl.config import DatasetConfig
from tfdl.data.images import ImageDataset, common_image_shape, in_memory_if_it_fits, resize
from tfdl.data.sources import RecordSource, Source
from tfdl.data.tfds.catalog import open_builder
from tfdl.data.tfds.records import open_records
from tfdl.data.tfds.roles import feature_keys, only, role_keys, value_at
from tfdl.data.tfds.splits import choose_splits
from tfdl.errors import UserError


def open_tfds_images(config: DatasetConfig) -> ImageDataset:
    """Opens the three splits of a TFDS set, and prepares it first where it is not prepared.

    Raises:
        UserError: unknown set or split, not an image classification set, images of many sizes, or unlabelled samples.
    """
    builder = open_builder(config.name, config.data_dir)
    keys = role_keys(builder, ("image", "label"), config.columns)
    features = feature_keys(builder.info.features)
    shape = common_image_shape(builder.name, features[keys["image"]].shape, config.image_size)
    decode = _decoder(builder, keys, config.image_size)
    signature = {"image": tf.TensorSpec(shape, tf.uint8), "label": tf.TensorSpec((), tf.int32)}
    sources: dict[str, Source] = {}
    for name, split in choose_splits(config, {key: info.num_examples for key, info in builder.info.splits.items()}):
        source = RecordSource(open_records(builder, split), decode, signature)
        if source.num_examples == 0:
            raise UserError(f"split {split!r} of {config.name!r} is empty; choose another dataset.{name}_split")
        sources[name] = in_memory_if_it_fits(source, config)
        _check_labelled(sources[name], config.name, name, split)
    names = tuple(features[keys["label"]].names)
    return ImageDataset(config.name, shape, names, sources)


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
