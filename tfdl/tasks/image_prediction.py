"""Images in, classes out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data.images import resize
from tfdl.tasks.class_answers import ClassAnswers
from tfdl.tasks.prediction import Prediction, Prepared, Record, Sample

_IMAGE = "image"


class ImagePrediction(Prediction):
    """Classes of images. They are resized in ``prepare``, so images of any sizes make a batch.

    Args:
        task: an ``ImageClassification``.
        top_k: how many of the most likely classes to return. Defaults to 1.
    """

    role = _IMAGE

    def __init__(self, task: Any, top_k: int | None = None):
        self._task = task
        self._answers = ClassAnswers(task.class_names, top_k)

    @property
    def signature(self) -> dict[str, tf.TensorSpec]:
        """``image``, uint8 ``(b, h, w, c)`` of the size that the model takes."""
        return {_IMAGE: tf.TensorSpec([None, *self._task.image_shape], tf.uint8, name=_IMAGE)}

    def prepare(self, sample: Sample) -> Prepared:
        """See ``Prediction.prepare``; an image of the size that the model takes."""
        image = np.asarray(sample[_IMAGE])
        height, width, channels = self._task.image_shape
        if image.dtype != np.uint8:
            raise ValueError(f"an image of {image.dtype}, expected uint8, from 0 to 255")
        if image.ndim != 3 or image.shape[2] != channels or not image.size:
            raise ValueError(f"an image of the shape {image.shape}, expected (height, width, {channels})")
        if image.shape[:2] == (height, width):
            return {_IMAGE: image}
        if not self._task.resized:
            found = f"{image.shape[1]}x{image.shape[0]}"
            raise ValueError(
                f"an image of {found} pixels, expected {width}x{height}: the run was trained without --image-size, so"
                " it resizes no images"
            )
        with tf.device("CPU:0"):
            return {_IMAGE: resize(tf.constant(image), (height, width)).numpy()}

    def stack(self, samples: Sequence[Prepared]) -> dict[str, np.ndarray]:
        """See ``Prediction.stack``."""
        return {_IMAGE: np.stack([sample[_IMAGE] for sample in samples])}

    def compute(self, model: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
        """See ``ClassAnswers.most_likely``."""
        return self._answers.most_likely(model(self._task.inputs(batch), training=False))

    def records(self, outputs: Mapping[str, np.ndarray]) -> list[Record]:
        """See ``ClassAnswers.records``."""
        return self._answers.records(outputs)
