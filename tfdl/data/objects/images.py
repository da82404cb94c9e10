"""Images and labels that Python code passed, as an image classification set."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.config import DatasetConfig
from tfdl.data.images import ImageDataset, common_image_shape, resize
from tfdl.data.labels import Classes
from tfdl.data.objects.labels import given_classes, label_numbers
from tfdl.data.objects.splits import refuse_sample_weights, signature_of, split_sources, trained_names_of
from tfdl.data.sources import ShuffledSource, Source
from tfdl.errors import UserError


def open_given_images(
    config: DatasetConfig, data: Mapping[str, Any], trained_names: Sequence[str] = ()
) -> ImageDataset:
    """The splits of ``data`` as uint8 images of one shape and integer labels.

    Args:
        config: the size to resize to, and the memory limit.
        data: splits as ``split_sources`` takes them, with the roles ``image`` and ``label``.
        trained_names: the classes of a run that has begun before.

    Raises:
        UserError: images that are not uint8 ``(h, w)`` or ``(h, w, c)``, labels that are not classes, or sample
            weights.
    """
    sources = split_sources(data, ("image", "label"), config.memory_limit_mb)
    refuse_sample_weights(sources, "image classification")
    signature = signature_of(sources["train"])
    shape = _image_shape(signature["image"], config)
    classes = classes_of_splits(sources, signature["label"], data, trained_names, config.exact_labels)
    images: dict[str, Source] = {}
    for split, source in sources.items():
        if split == "test" and source is sources["validation"]:
            images[split] = images["validation"]
        else:
            images[split] = GivenImages(source, shape, config.image_size, classes, signature["label"])
    return ImageDataset(config.name, shape, classes.names, images, (*notes_of(sources), *classes.notes))


def classes_of_splits(
    sources: Mapping[str, Source],
    label: tf.TensorSpec,
    data: Mapping[str, Any],
    trained_names: Sequence[str],
    exact: bool,
) -> Classes:
    """The classes of the splits. If a single split is evaluated, it may have only some of the run's classes.

    Args:
        sources: the splits, with a feature ``label``.
        label: shape and dtype of a label.
        data: what Python code passed.
        trained_names: the classes of a run that has begun before.
        exact: as for ``classes_of``.
    """
    names_of_run = trained_names_of(data)
    if names_of_run:
        return given_classes(sources, label, names_of_run, needs_all=False, exact=exact)
    return given_classes(sources, label, trained_names, exact=exact)


def notes_of(sources: Mapping[str, Source]) -> tuple[str, ...]:
    """The notes of all sources that have some, each note once."""
    notes: list[str] = []
    for source in sources.values():
        notes += getattr(source, "notes", ())
    return tuple(dict.fromkeys(notes))


class GivenImages(ShuffledSource):
    """Another source's images at one size, with class numbers.

    Args:
        source: images and labels.
        shape: of the images after resizing.
        size: height and width to resize to; ``None`` keeps the size.
        classes: the class number of each label.
        label: shape and dtype of a label in ``source``.
    """

    def __init__(
        self,
        source: Source,
        shape: tuple[int, int, int],
        size: tuple[int, int] | None,
        classes: Classes,
        label: tf.TensorSpec,
    ):
        self.num_examples = source.num_examples
        self.parallel_reads = source.parallel_reads
        self.signature = {"image": tf.TensorSpec(shape, tf.uint8), "label": tf.TensorSpec((), tf.int32)}
        self._source = source
        self._shape = shape
        self._size = size
        self._numbers = label_numbers(classes, label)

    def read(self, indices: Any) -> dict[str, Any]:
        """See ``Source.read``."""
        features = self._source.read(indices)
        images = features["image"]
        if images.shape.ndims == 3:  # without an axis for channels
            images = images[..., tf.newaxis]
        if self._size is not None:
            images = resize(images, self._size)
        return {"image": tf.ensure_shape(images, [None, *self._shape]), "label": self._numbers(features["label"])}

    def epoch_order(self, seed: int, epoch: int, global_batch: int) -> np.ndarray:
        """See ``Source.epoch_order``; the order of the wrapped source."""
        return self._source.epoch_order(seed, epoch, global_batch)


def _image_shape(image: tf.TensorSpec, config: DatasetConfig) -> tuple[int, int, int]:
    if image.dtype != tf.uint8 or image.shape.ndims not in (2, 3):
        raise UserError(
            f"images have the dtype {image.dtype.name} and the shape {image.shape}, expected uint8 from 0 to 255 of"
            " shape (height, width) or (height, width, channels); for other inputs give task= or a compiled model"
        )
    if image.shape.ndims == 2:
        height, width = image.shape
        channels = 1
    else:
        height, width, channels = image.shape
    return common_image_shape("the given data", (height, width, channels), config.image_size)
