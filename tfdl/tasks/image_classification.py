"""One label for each image."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.config import TrainConfig
from tfdl.data import ImageDataset, Source, open_images
from tfdl.data.augmentation import AUGMENTATIONS
from tfdl.data.images import resize
from tfdl.data.pipeline import WEIGHT
from tfdl.tasks.classification_metrics import classification_details, classification_metrics, classification_rows
from tfdl.tasks.cross_entropy import cross_entropy

_ASSET = "image_classification.json"


class ImageClassification:
    """Images in, a probability for each class out; trained with cross-entropy.

    Args:
        image_shape: height, width and channels that the model takes.
        class_names: a name for each label.
        resized: whether images of any size are accepted and brought to ``image_shape``.
        augmentation: the random change of training images, by name.
        label_smoothing: of the training loss; evaluation measures without.
    """

    name = "image-classification"
    running_metrics = ("loss", "accuracy")
    """What ``running_sums`` adds up, in its order."""
    monitor, larger_is_better = "accuracy", True
    """The validation metric that decides which checkpoint is the best."""

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        class_names: tuple[str, ...],
        resized: bool,
        augmentation: str = "none",
        label_smoothing: float = 0.0,
    ):
        self.image_shape, self.class_names, self.resized = image_shape, class_names, resized
        self.augmentation, self.label_smoothing = augmentation, label_smoothing

    @classmethod
    def open(
        cls,
        config: TrainConfig,
        assets: Path | None = None,  # noqa: ARG003  (nothing is learned from the data)
    ) -> tuple["ImageClassification", dict[str, Source]]:
        """The task and the splits of a run's data set."""
        dataset: ImageDataset = open_images(config.dataset)
        resized, augmentation = config.dataset.image_size is not None, config.dataset.augmentation
        task = cls(dataset.image_shape, dataset.class_names, resized, augmentation, config.label_smoothing)
        return task, dataset.sources

    @classmethod
    def load(cls, assets: Path) -> "ImageClassification":
        """The task as a run saved it, without its data."""
        values = json.loads((assets / _ASSET).read_text(encoding="utf-8"))
        return cls(tuple(values["image_shape"]), tuple(values["class_names"]), values["resized"])

    def save(self, assets: Path) -> None:
        """Writes what ``load`` needs."""
        values = {"image_shape": self.image_shape, "class_names": self.class_names, "resized": self.resized}
        (assets / _ASSET).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

    @property
    def model_arguments(self) -> dict[str, Any]:
        """What ``tfdl.build_model`` needs to know of the data."""
        return {"input_shape": self.image_shape, "num_classes": len(self.class_names)}

    def augment(self, batch: dict[str, Any], draws: Any) -> dict[str, Any]:
        """The batch with its images changed at random, as the draws say; part of the input pipeline."""
        if self.augmentation == "none":
            return batch
        return {**batch, "image": AUGMENTATIONS[self.augmentation](batch["image"], draws)}

    def inputs(self, batch: Mapping[str, Any]) -> Any:
        """Images as the model takes them: float32 ``(b, h, w, c)`` from 0 to 1."""
        return tf.cast(batch["image"], tf.float32) / 255.0

    def losses(self, batch: Mapping[str, Any], logits: Any) -> tuple[Any, Any]:
        """What training minimizes: cross-entropy of each sample, ``(b,)``, and each sample's weight, ``(b,)``."""
        losses = cross_entropy(batch["label"], logits, self.label_smoothing)
        return losses, self._weights(batch, losses)

    def running_sums(self, batch: Mapping[str, Any], logits: Any, losses: Any) -> list[Any]:
        """Weighted sums over the batch that, divided by the weight, are the running metrics."""
        right = tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), batch["label"])
        weight = self._weights(batch, losses)
        return [tf.reduce_sum(losses * weight), tf.reduce_sum(tf.cast(right, weight.dtype) * weight)]

    def _weights(self, batch: Mapping[str, Any], losses: Any) -> Any:
        return tf.cast(batch[WEIGHT], losses.dtype) if WEIGHT in batch else tf.ones_like(losses)

    def evaluation_rows(self, batch: Mapping[str, Any], logits: Any) -> dict[str, Any]:
        """One row for each sample: what ``metrics`` needs of it."""
        return classification_rows(cross_entropy(batch["label"], logits), batch["label"], logits)

    def metrics(self, rows: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Loss, accuracy, top-5 accuracy, and precision, recall, F1 and AUC averaged over the classes."""
        return classification_metrics(rows, len(self.class_names))

    def details(self, rows: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Each class's scores, and the confusion matrix."""
        return classification_details(rows, self.class_names)

    def serving_signature(self) -> dict[str, tf.TensorSpec]:
        """Raw images, any number of them; of any size where the task resizes them."""
        height, width, channels = self.image_shape
        size = [None, None] if self.resized else [height, width]
        return {"image": tf.TensorSpec([None, *size, channels], tf.uint8, name="image")}

    def serve(self, model: Any, image: Any) -> dict[str, Any]:
        """Raw images to ``probabilities`` ``(b, classes)``, ``class_id`` ``(b,)`` and ``class_name`` ``(b,)``."""
        count = tf.shape(image)[0]
        # Not every kernel takes an empty batch: a stand-in goes in, and comes out below.
        image = tf.pad(image, [[0, tf.cast(count == 0, tf.int32)], [0, 0], [0, 0], [0, 0]])
        if self.resized:
            image = resize(image, self.image_shape[:2])
        probabilities = tf.nn.softmax(model(self.inputs({"image": image}), training=False))[:count]
        class_id = tf.argmax(probabilities, -1, tf.int32)
        names = tf.gather(tf.constant(list(self.class_names)), class_id)
        return {"probabilities": probabilities, "class_id": class_id, "class_name": names}

    def serving_sample(self, count: int, seed: int = 0) -> dict[str, np.ndarray]:
        """Random inputs of the serving signature, for comparing a SavedModel with its model."""
        height, width, channels = self.image_shape
        size = (height + 5, width + 3) if self.resized else (height, width)
        generator = np.random.default_rng(seed)
        return {"image": generator.integers(0, 256, (count, *size, channels), np.uint8)}
