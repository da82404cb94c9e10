"""What the classification of images and of texts have in common: everything but the inputs."""

from typing import Any

import keras
import tensorflow as tf

from tfdl.data.augmentation.plan import MIXED_LABEL, SHARE, mixed_loss
from tfdl.errors import UserError
from tfdl.tasks.classification_metrics import (
    classification_details,
    classification_metrics,
    classification_rows,
    guessing_warning,
)
from tfdl.tasks.cross_entropy_loss import cross_entropy
from tfdl.tasks.task import Batch, Rows, Task, sample_weights


class Classification(Task):
    """A probability for each class; trained with cross-entropy.

    Args:
        class_names: a name for each label.
        label_smoothing: of the training loss; evaluation does not smooth.
    """

    running_metrics = ("loss", "accuracy")
    monitor = "accuracy"
    larger_is_better = True

    def __init__(self, class_names: tuple[str, ...], label_smoothing: float = 0.0):
        self.class_names = class_names
        self.label_smoothing = label_smoothing
        self.class_weights: Any = None
        """The weight of each class in the training loss, ``(classes,)``; none if all of them weigh 1."""

    @property
    def has_own_weights(self) -> bool:
        """Whether a derived task computes its losses or running sums itself, and so knows no weights of classes."""
        own = type(self)
        return own.losses is not Classification.losses or own.running_sums is not Classification.running_sums

    def fit_to(self, model: Any) -> None:
        """See ``Task.fit_to``.

        Raises:
            UserError: the model does not return one logit for each class.
        """
        has_own_loss = type(self).losses is not Classification.losses  # a derived task, which may take other outputs
        if not has_own_loss:
            _check_logits(model, len(self.class_names))

    def losses(self, batch: Batch, outputs: Any) -> tuple[Any, Any]:
        """Cross-entropy of each sample, ``(b,)``, and each sample's weight, ``(b,)``."""
        losses = cross_entropy(batch["label"], outputs, self.label_smoothing)
        weights = self._weights(batch, losses.dtype)
        if SHARE in batch:
            partner_losses = cross_entropy(batch[MIXED_LABEL], outputs, self.label_smoothing)
            if self.class_weights is not None:  # each label's loss has the weight of its class
                losses = tf.math.divide_no_nan(self._of_class(batch["label"], losses.dtype) * losses, weights)
                partner_losses *= tf.math.divide_no_nan(self._of_class(batch[MIXED_LABEL], losses.dtype), weights)
            losses = mixed_loss(losses, partner_losses, batch[SHARE])
        return losses, weights

    def _weights(self, batch: Batch, dtype: Any) -> Any:
        """The weight of each sample in the training loss, ``(b,)``; of a mixed one that of its two labels."""
        weights = sample_weights(batch, dtype)
        if self.class_weights is None:
            return weights
        of_class = self._of_class(batch["label"], dtype)
        if SHARE in batch:
            of_class = mixed_loss(of_class, self._of_class(batch[MIXED_LABEL], dtype), batch[SHARE])
        return weights * of_class

    def _of_class(self, labels: Any, dtype: Any) -> Any:
        return tf.gather(tf.constant(self.class_weights, dtype), labels)

    def running_sums(self, batch: Batch, outputs: Any, losses: Any) -> list[Any]:
        """Sums of the losses and of correct answers."""
        weights = self._weights(batch, losses.dtype)  # (b,)
        is_correct = tf.equal(tf.argmax(outputs, axis=-1, output_type=tf.int32), batch["label"])
        correct_weights = tf.cast(is_correct, weights.dtype) * weights
        return [tf.reduce_sum(losses * weights), tf.reduce_sum(correct_weights)]

    def evaluation_rows(self, batch: Batch, outputs: Any) -> dict[str, Any]:
        """See ``classification_rows``."""
        losses = cross_entropy(batch["label"], outputs)
        return classification_rows(losses, batch["label"], outputs)

    def metrics(self, rows: Rows) -> dict[str, float]:
        """Loss, accuracy, top-5 accuracy, and precision, recall, F1 and AUC averaged over the classes."""
        return classification_metrics(rows, len(self.class_names))

    def details(self, rows: Rows) -> dict[str, Any]:
        """Each class's scores, and the confusion matrix."""
        return classification_details(rows, self.class_names)

    def warning(self, rows: Rows) -> str:
        """Warns if the accuracy is not above that of answering the largest class for every sample."""
        return guessing_warning(rows, self.class_names)

    def answers(self, logits: Any) -> dict[str, Any]:
        """Logits ``(b, classes)`` to ``probabilities`` of that shape, ``class_id`` ``(b,)`` and ``class_name``
        ``(b,)``."""
        probabilities = tf.nn.softmax(logits)
        class_id = tf.argmax(probabilities, -1, tf.int32)
        names = tf.gather(tf.constant(list(self.class_names)), class_id)
        return {"probabilities": probabilities, "class_id": class_id, "class_name": names}


def _check_logits(model: Any, num_classes: int) -> None:
    """Raises ``UserError`` if a model does not return logits ``(b, num_classes)``.

    What a subclassed model returns is known only from a call, so it is not checked.
    """
    outputs = getattr(model, "outputs", None)
    if not outputs:
        return
    shapes = [tuple(output.shape) for output in outputs]
    if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][1] not in (num_classes, None):
        raise UserError(
            f"the model's outputs have the shape {', '.join(map(str, shapes))}, expected (None, {num_classes}): one"
            f" logit for each of the {num_classes} classes"
        )
    last_layer = outputs[0]._keras_history.operation
    activation = getattr(last_layer, "activation", None)
    returns_probabilities = activation in (keras.activations.softmax, keras.activations.sigmoid)
    if returns_probabilities or isinstance(last_layer, keras.layers.Softmax):
        raise UserError(
            f"the model's last layer {last_layer.name!r} returns probabilities, expected logits: remove its softmax or"
            " sigmoid (tfdl's loss and exports apply softmax), or pass data= and task=tfdl.tasks.Objective(loss=...)"
        )


def check_classes(class_names: tuple[str, ...], trained_names: tuple[str, ...], dataset: str) -> None:
    """Raises ``UserError`` if the classes of a data set are not those that a run was trained for.

    Args:
        class_names: the classes of the data.
        trained_names: the classes of the run.
        dataset: the name of the data set, for the message.
    """
    if class_names == trained_names:
        return
    missing = sorted(set(trained_names) - set(class_names))
    added = sorted(set(class_names) - set(trained_names))
    changes = []
    if missing:
        changes.append(f"missing now: {', '.join(missing)}")
    if added:
        changes.append(f"new: {', '.join(added)}")
    difference = "; ".join(changes) or "another order"
    raise UserError(
        f"the classes of {dataset!r} are not those that the run was trained for ({difference}); give it the data that"
        " it had, or train a new run"
    )
