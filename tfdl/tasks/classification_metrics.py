"""Metrics of a classifier from one row a sample."""

import numpy as np


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts ``(num_classes, num_classes)``: row the true label, column the predicted one."""
    cells = labels.astype(np.int64) * num_classes + predictions
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def classification_metrics(
    losses: np.ndarray, labels: np.ndarray, predictions: np.ndarray, num_classes: int
) -> dict[str, float]:
    r"""Mean loss, accuracy, and macro-averaged precision, recall and F1.

    With $TP$, $FP$ and $FN$ the counts of one class: precision is $TP / (TP + FP)$, recall $TP / (TP + FN)$, F1
    $2\,TP / (2\,TP + FP + FN)$, and 0 where the denominator is. The averages are over the classes that occur as a
    label or as a prediction.

    Args:
        losses: ``(n,)``.
        labels, predictions: ``(n,)``, integers below ``num_classes``.
        num_classes: number of classes.
    """
    counts = confusion_matrix(labels, predictions, num_classes)
    right, labelled, predicted = np.diag(counts), counts.sum(1), counts.sum(0)
    occurs = (labelled + predicted) > 0
    precision = right / np.maximum(predicted, 1)
    recall = right / np.maximum(labelled, 1)
    f1 = 2 * right / np.maximum(labelled + predicted, 1)
    return {
        "loss": float(np.mean(losses, dtype=np.float64)),
        "accuracy": float(right.sum() / len(labels)),
        "precision": float(precision[occurs].mean()),
        "recall": float(recall[occurs].mean()),
        "f1": float(f1[occurs].mean()),
    }
