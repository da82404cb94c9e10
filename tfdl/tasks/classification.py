"""What the classification of images and of texts have in common: everything but the inputs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data.augmentation.plan import MIXED_LABEL, SHARE, mixed_loss
from tfdl.tasks.classification_metrics import classification_details, classification_metrics, classification_rows
from tfdl.tasks.cross_entropy import cross_entropy
from tfdl.tasks.task import Task, sample_weights


class Classification(Task):
    """A probability for each class out; trained with cross-entropy.

    Args:
        class_names: a name for each label.
        label_smoothing: of the training loss; evaluation measures without.
    """

    running_metrics = ("loss", "accuracy")
    monitor, larger_is_better = "accuracy", True

    def __init__(self, class_names: tuple[str, ...], label_smoothing: float = 0.0):
        self.class_names, self.label_smoothing = class_names, label_smoothing

    def losses(self, batch: Mapping[str, Any], logits: Any) -> tuple[Any, Any]:
        """What training minimizes: cross-entropy of each sample, ``(b,)``, and each sample's weight, ``(b,)``."""
        losses = cross_entropy(batch["label"], logits, self.label_smoothing)
        if SHARE in batch:
            others = cross_entropy(batch[MIXED_LABEL], logits, self.label_smoothing)
            losses = mixed_loss(losses, others, batch[SHARE])
        return losses, sample_weights(batch, losses.dtype)

    def running_sums(self, batch: Mapping[str, Any], logits: Any, losses: Any) -> list[Any]:
        """Weighted sums over the batch that, divided by the weight, are the running metrics."""
        right = tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), batch["label"])
        weight = sample_weights(batch, losses.dtype)
        return [tf.reduce_sum(losses * weight), tf.reduce_sum(tf.cast(right, weight.dtype) * weight)]

    def evaluation_rows(self, batch: Mapping[str, Any], logits: Any) -> dict[str, Any]:
        """One row for each sample: what ``metrics`` needs of it."""
        return classification_rows(cross_entropy(batch["label"], logits), batch["label"], logits)

    def metrics(self, rows: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Loss, accuracy, top-5 accuracy, and precision, recall, F1 and AUC averaged over the classes."""
        return classification_metrics(rows, len(self.class_names))

    def details(self, rows: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Each class's scores, and the confusion matrix."""
        return classification_details(rows, self.class_names)

    def answers(self, logits: Any) -> dict[str, Any]:
        """Logits ``(b, classes)`` to ``probabilities`` of that shape, ``class_id`` ``(b,)`` and ``class_name``
        ``(b,)``."""
        probabilities = tf.nn.softmax(logits)
        class_id = tf.argmax(probabilities, -1, tf.int32)
        names = tf.gather(tf.constant(list(self.class_names)), class_id)
        return {"probabilities": probabilities, "class_id": class_id, "class_name": names}
