"""One label for each image."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.config import TrainConfig
from tfdl.data import ImageDataset, Source, open_images
from tfdl.data.augmentation import Augmentation
from tfdl.data.images import resize
from tfdl.tasks.classification import Classification

_ASSET = "image_classification.json"


class ImageClassification(Classification):
    """Images in, a probability for each class out; trained with cross-entropy.

    Args:
        image_shape: height, width and channels that the model takes.
        class_names: a name for each label.
        resized: whether images of any size are accepted and brought to ``image_shape``.
        augmentation: the random changes of training images, by name (see ``tfdl.data.augmentation``).
        label_smoothing: of the training loss; evaluation measures without.
    """

    name = "image-classification"

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        class_names: tuple[str, ...],
        resized: bool,
        augmentation: tuple[str, ...] = (),
        label_smoothing: float = 0.0,
    ):
        super().__init__(class_names, label_smoothing)
        self.image_shape, self.resized = image_shape, resized
        self.augment = Augmentation(augmentation) if augmentation else None

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
        task.notes = dataset.notes
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

    def inputs(self, batch: Mapping[str, Any]) -> Any:
        """Images as the model takes them: float32 ``(b, h, w, c)`` from 0 to 1."""
        return tf.cast(batch["image"], tf.float32) / 255.0

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
        return self.answers(model(self.inputs({"image": image}), training=False)[:count])

    def serving_sample(self, count: int, seed: int = 0) -> dict[str, np.ndarray]:
        """Random inputs of the serving signature, for comparing a SavedModel with its model."""
        height, width, channels = self.image_shape
        size = (height + 5, width + 3) if self.resized else (height, width)
        generator = np.random.default_rng(seed)
        return {"image": generator.integers(0, 256, (count, *size, channels), np.uint8)}
