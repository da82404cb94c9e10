"""The task of images with one label each."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.config import AugmentationConfig, TrainConfig
from tfdl.data import Source, open_images
from tfdl.data.augmentation import Augmentation
from tfdl.data.images import CURRENT_RULES, FIRST_RULES, resize
from tfdl.errors import UserError
from tfdl.tasks.assets import checked_class_names, checked_image_shape, read_asset
from tfdl.tasks.base_run import assets_of_inputs
from tfdl.tasks.classification import Classification, check_classes
from tfdl.tasks.image_prediction import ImagePrediction
from tfdl.tasks.image_serving import file_signatures
from tfdl.tasks.pixel_scaling import PLAIN_SCALING, PixelScaling
from tfdl.tasks.prediction import Prediction
from tfdl.tasks.served_signature import ServedSignature
from tfdl.tasks.task import Batch

_ASSET = "image_classification.json"


class ImageClassification(Classification):
    """From images to a probability for each class; trained with cross-entropy.

    Args:
        image_shape: height, width and channels that the model takes.
        class_names: a name for each label.
        resized: whether images of any size are accepted and resized to ``image_shape``.
        augmentation: the random changes of training images (see ``tfdl.data.augmentation``).
        label_smoothing: of the training loss; evaluation does not smooth.
        scaling: how pixel values become the model's inputs.
    """

    name = "image-classification"
    image_rules = CURRENT_RULES
    """The number of the rules by which image files are read. A run keeps those that it began with."""

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        class_names: tuple[str, ...],
        resized: bool,
        augmentation: tuple[AugmentationConfig, ...] = (),
        label_smoothing: float = 0.0,
        scaling: PixelScaling = PLAIN_SCALING,
    ):
        super().__init__(class_names, label_smoothing)
        self.scaling = scaling
        self.image_shape = image_shape
        self.resized = resized
        self.augment = Augmentation(augmentation) if augmentation else None

    @classmethod
    def open(
        cls, config: TrainConfig, assets: Path | None = None, data: Mapping[str, Any] | None = None
    ) -> tuple["ImageClassification", dict[str, Source]]:
        """The task and the splits of a run's data set.

        Raises:
            UserError: as ``open_images``, or other classes than the run in ``assets`` was trained for.
        """
        trained = None if assets is None else cls.load(assets)
        known = assets_of_inputs(config, assets)
        trained_names = () if trained is None else trained.class_names
        image_rules = cls.image_rules if trained is None else trained.image_rules
        dataset = open_images(config.dataset, data, trained_names, image_rules)
        if trained is not None:
            check_classes(dataset.class_names, trained_names, config.dataset.name)
            _check_shape(dataset.image_shape, trained.image_shape, config.dataset.name)
        task = cls(
            dataset.image_shape,
            dataset.class_names,
            resized=config.dataset.image_size is not None,
            augmentation=config.dataset.augmentation,
            label_smoothing=config.label_smoothing,
            scaling=PLAIN_SCALING if known is None else cls.load(known).scaling,
        )
        task.image_rules = image_rules
        task.notes = dataset.notes
        return task, dataset.sources

    @classmethod
    def load(cls, assets: Path) -> "ImageClassification":
        """See ``Task.load``."""
        values = read_asset(assets, _ASSET)
        shape = checked_image_shape(values)
        scaling = PLAIN_SCALING
        if "scaling" in values:
            scaling = PixelScaling.from_json(values.section("scaling"), channels=shape[2])
        task = cls(shape, checked_class_names(values), values.flag("resized"), scaling=scaling)
        task.image_rules = values.count("image_rules", FIRST_RULES)
        return task

    def save(self, assets: Path) -> None:
        """See ``Task.save``."""
        values: dict[str, Any] = {
            "image_shape": self.image_shape,
            "class_names": self.class_names,
            "resized": self.resized,
            "image_rules": self.image_rules,
        }
        if self.scaling != PLAIN_SCALING:
            values["scaling"] = asdict(self.scaling)
        (assets / _ASSET).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

    @property
    def model_arguments(self) -> dict[str, Any]:
        """``input_shape`` and ``num_classes``."""
        return {"input_shape": self.image_shape, "num_classes": len(self.class_names)}

    def inputs(self, batch: Batch) -> Any:
        """Images as the model takes them: float32 ``(b, h, w, c)``, from 0 to 1 unless ``scaling`` differs."""
        return self.scaling.scaled(tf.cast(batch["image"], tf.float32) / 255.0)

    def serving_signature(self) -> dict[str, tf.TensorSpec]:
        """Raw images, any number of them; of any size where the task resizes them."""
        height, width, channels = self.image_shape
        size = [None, None] if self.resized else [height, width]
        return {"image": tf.TensorSpec([None, *size, channels], tf.uint8, name="image")}

    def serve(self, model: Any, image: Any) -> dict[str, Any]:
        """Raw images to ``probabilities`` ``(b, classes)``, ``class_id`` ``(b,)`` and ``class_name`` ``(b,)``."""
        count = tf.shape(image)[0]
        # Not every kernel takes an empty batch. An empty batch gets one black image, whose answer is cut off below.
        num_stand_ins = tf.cast(count == 0, tf.int32)
        image = tf.pad(image, [[0, num_stand_ins], [0, 0], [0, 0], [0, 0]])
        if self.resized:
            image = resize(image, self.image_shape[:2])
        logits = model(self.inputs({"image": image}), training=False)  # (b, classes)
        return self.answers(logits[:count])

    def signatures(self) -> dict[str, ServedSignature]:
        """``serving_default`` takes pixels, the others take files; ``classify`` as TensorFlow Serving's method does."""
        signatures = super().signatures()
        inputs = self.serving_signature()
        takes_pixels = list(inputs) == ["image"] and inputs["image"].dtype == tf.uint8
        if takes_pixels:
            answers_classes = type(self).serve is ImageClassification.serve
            signatures |= file_signatures(self, classifies=answers_classes)
        return signatures

    def prediction(self, top_k: int | None = None) -> Prediction:
        """Classes and their probabilities."""
        if type(self).serve is not ImageClassification.serve:
            return super().prediction(top_k)
        return ImagePrediction(self, top_k)

    def serving_sample(self, count: int, seed: int = 0) -> dict[str, np.ndarray]:
        """See ``Task.serving_sample``."""
        height, width, channels = self.image_shape
        # Images that must be resized, if the task does that.
        size = (height + 5, width + 3) if self.resized else (height, width)
        generator = np.random.default_rng(seed)
        return {"image": generator.integers(0, 256, (count, *size, channels), np.uint8)}


def _check_shape(shape: tuple[int, int, int], trained_shape: tuple[int, int, int], dataset: str) -> None:
    """Raises ``UserError`` if images have another shape than those that a run was trained on."""
    if shape == trained_shape:
        return
    raise UserError(
        f"the images of {dataset!r} have the shape {shape} (height, width, channels), expected {trained_shape}, which"
        " the run was trained on; give it the data that it had, or train a new run"
    )
