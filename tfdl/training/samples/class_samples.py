"""Samples of classifiers: their true and their predicted class, and the confusion matrix."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data import Source
from tfdl.data.image_grid import image_grid
from tfdl.tasks.classification_metrics import confusion_matrix
from tfdl.tasks.image_classification import ImageClassification
from tfdl.tasks.task import Rows, Task
from tfdl.tasks.text_classification import TextClassification
from tfdl.training.samples.confusion_picture import MOST_CLASSES, confusion_picture
from tfdl.training.samples.sample_text import SampleText
from tfdl.training.samples.validation_samples import Picture, Shown, ValidationSamples, spread_places

_NUM_IMAGES = 12
_NUM_TEXTS = 4
# Texts are shown of these first ones of a split: all rows before a text are read.
_MOST_READ = 10_000
# The longest side of an image, in pixels.
_GREATEST_CELL = 96
_RIGHT = (15, 122, 60)
_WRONG = (180, 40, 30)
# A picture whose PNG file is larger becomes a JPEG file. Photos do, and then need a fifth of the bytes.
_MOST_PNG_BYTES = 2**16


class ImageSamples(ValidationSamples):
    """Images with their true and their predicted class, and the confusion matrix.

    Args:
        task: has the names of the classes.
        source: the validation split.
    """

    def __init__(self, task: ImageClassification, source: Source):
        self._names = task.class_names
        self._source = source
        self._places, self._numbers = _spread(source, task, _NUM_IMAGES)
        self._images: list[np.ndarray] | None = None  # read once

    def of(self, rows: Rows) -> Shown:
        """See ``ValidationSamples.of``. A derived task may have other rows, of which nothing is shown."""
        if not {"label", "prediction"} <= rows.keys():
            return Shown()
        pictures = _matrix(rows, self._names)
        # Other sources read one sample after the other, so some of them would cost as much as all.
        if self._source.parallel_reads:
            pictures["images"] = self._grid(rows)
        return Shown(pictures=pictures)

    def _grid(self, rows: Rows) -> Picture:
        if self._images is None:
            batch = self._source.read(tf.constant(self._numbers, tf.int64))
            self._images = [_shown_image(image) for image in np.asarray(batch["image"])]
        labels = rows["label"][self._places]
        predictions = rows["prediction"][self._places]
        notes = []
        for label, prediction in zip(labels, predictions, strict=True):
            notes.append((self._names[prediction], _RIGHT if prediction == label else _WRONG))
        names = [self._names[label] for label in labels]
        return _encoded(image_grid(self._images, names, notes, _GREATEST_CELL))


class TextClassSamples(ValidationSamples):
    """Texts with their true and their predicted class, and the confusion matrix.

    Args:
        task: has the names of the classes.
        source: the validation split, which keeps its texts.
    """

    def __init__(self, task: TextClassification, source: Any):
        self._names = task.class_names
        self._places, numbers = _spread(source, task, _NUM_TEXTS, _MOST_READ)
        self._texts = source.chosen(numbers).texts("text")["text"].tolist() if hasattr(source, "chosen") else []

    def of(self, rows: Rows) -> Shown:
        """See ``ValidationSamples.of``."""
        if not {"label", "prediction"} <= rows.keys():
            return Shown()
        samples = []
        for text, place in zip(self._texts, self._places, strict=False):
            label = self._names[rows["label"][place]]
            prediction = self._names[rows["prediction"][place]]
            samples.append(SampleText({"text": text, "class": label, "predicted": prediction}))
        return Shown(samples, _matrix(rows, self._names))


def _spread(source: Source, task: Task, most: int, first: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Some of the ``first`` samples of a split: their places among the rows of an evaluation, and their numbers."""
    pieces = source.evaluation_pieces(task.evaluation_batch_size, task.evaluation_tokens)
    numbers = np.sort(np.concatenate(pieces))
    places = spread_places(len(numbers[:first]), most)
    return places, numbers[places]


def _matrix(rows: Rows, names: Sequence[str]) -> dict[str, Picture]:
    """The confusion matrix as a picture, unless it has too many classes."""
    if len(names) > MOST_CLASSES:
        return {}
    counts = confusion_matrix(rows["label"], rows["prediction"], len(names))
    return {"confusion_matrix": _encoded(confusion_picture(counts, names))}


def _shown_image(image: np.ndarray) -> np.ndarray:
    """An image as ``image_grid`` takes it, uint8 ``(h, w, c)``. Channels that are no colours: the first one alone."""
    pixels = np.clip(image, 0, 255).astype(np.uint8)
    return pixels if pixels.shape[-1] in (1, 3, 4) else pixels[..., :1]


def _encoded(picture: Any) -> Picture:
    file = io.BytesIO()
    picture.save(file, "PNG")
    if file.tell() > _MOST_PNG_BYTES:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=85)
    return Picture(file.getvalue(), picture.size)
