"""Metrics of a classifier from one row a sample."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

MOST_SCORED_CLASSES = 100
"""With more classes than this the scores of all classes are not kept, and there is no AUC."""
TOP = 5


def classification_rows(losses: Any, labels: Any, logits: Any) -> dict[str, Any]:
    """One row for each sample of a batch: all that its metrics need, on any number of ranks.

    Args:
        losses: ``(b,)``.
        labels: ``(b,)`` integers.
        logits: ``(b, num_classes)``.

    Returns:
        ``loss``; ``label``; ``prediction``, the class of the largest logit; ``place``, how many classes score above
        the label's, 0 for the best (a score that is no number is above none); and ``logits``, of few classes.
    """
    own = tf.gather(logits, labels, batch_dims=1)[:, tf.newaxis]  # (b, 1)
    above = tf.logical_not(logits <= own)
    rows = {
        "loss": losses,
        "label": labels,
        "prediction": tf.argmax(logits, -1, tf.int32),
        "place": tf.reduce_sum(tf.cast(above, tf.int32), -1),
    }
    return rows if logits.shape[-1] > MOST_SCORED_CLASSES else {**rows, "logits": logits}


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts ``(num_classes, num_classes)``: row the true label, column the predicted one."""
    cells = labels.astype(np.int64) * num_classes + predictions
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def class_scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    r"""Each class's precision, recall, F1 and support, from a confusion matrix.

    With $TP$, $FP$ and $FN$ the counts of one class: precision is $TP / (TP + FP)$, recall $TP / (TP + FN)$, F1
    $2\,TP / (2\,TP + FP + FN)$, and 0 where the denominator is; support is the number of samples, $TP + FN$.
    """
    right, labelled, predicted = np.diag(counts), counts.sum(1), counts.sum(0)
    return {
        "precision": right / np.maximum(predicted, 1),
        "recall": right / np.maximum(labelled, 1),
        "f1": 2 * right / np.maximum(labelled + predicted, 1),
        "support": labelled,
    }


def classification_metrics(rows: Mapping[str, np.ndarray], num_classes: int) -> dict[str, float]:
    """The numbers of a split: mean loss (in float64), accuracy, and averages over classes.

    Precision, recall and F1 are averaged over the classes that occur as a label or as a prediction. With more than five
    classes there is also ``top_5_accuracy``; where the rows hold logits and some class both occurs and does not,
    ``auc`` (see ``one_vs_rest_auc``).

    Args:
        rows: columns of ``classification_rows``, for all samples of the split.
        num_classes: number of classes.
    """
    labels = rows["label"]
    counts = confusion_matrix(labels, rows["prediction"], num_classes)
    scores = class_scores(counts)
    occurs = (counts.sum(0) + counts.sum(1)) > 0
    metrics = {
        "loss": float(np.mean(rows["loss"], dtype=np.float64)),
        "accuracy": float(np.trace(counts) / len(labels)),
    }
    if num_classes > TOP:
        metrics[f"top_{TOP}_accuracy"] = float(np.mean(rows["place"] < TOP))
    metrics |= {name: float(scores[name][occurs].mean()) for name in ("precision", "recall", "f1")}
    auc = one_vs_rest_auc(labels, rows["logits"]) if "logits" in rows else None
    return metrics if auc is None else {**metrics, "auc": auc}


def classification_details(rows: Mapping[str, np.ndarray], class_names: Sequence[str]) -> dict[str, Any]:
    """What a report shows beside the metrics, as plain data.

    Returns:
        ``classes``: for each name its ``precision``, ``recall``, ``f1`` and ``support``; ``confusion_matrix``: rows of
        counts, a row for each true class.
    """
    counts = confusion_matrix(rows["label"], rows["prediction"], len(class_names))
    scores = {name: values.tolist() for name, values in class_scores(counts).items()}
    classes = {
        class_name: {name: values[place] for name, values in scores.items()}
        for place, class_name in enumerate(class_names)
    }
    return {"classes": classes, "confusion_matrix": counts.tolist()}


def one_vs_rest_auc(labels: np.ndarray, logits: np.ndarray) -> float | None:
    r"""The area under the ROC curve of each class against the others, averaged over classes.

    For one class it is the chance that a sample of it has a higher probability of the class than a sample of another,
    a tie counting half (Mann and Whitney, 1947): with $n_1$ samples of the class, $n_0$ others, and the class's ranks
    adding up to $R$ among all probabilities, $(R - n_1 (n_1 + 1) / 2) / (n_1 n_0)$. Probabilities are those of
    float64; ranks are whole and half numbers, so nothing is lost.

    Args:
        labels: ``(n,)``.
        logits: ``(n, num_classes)``.

    Returns:
        The mean over the classes that some samples have and some have not; ``None`` where there is no such class.
    """
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    exponentials = np.exp(shifted)
    probabilities = exponentials / exponentials.sum(1, keepdims=True)
    areas = []
    for number in range(logits.shape[1]):
        mine = labels == number
        of_class, others = int(mine.sum()), int((~mine).sum())
        if of_class and others:
            _, place, ties = np.unique(probabilities[:, number], return_inverse=True, return_counts=True)
            ranks = np.cumsum(ties) - (ties - 1) / 2  # of each value, the middle one of its ties
            above = ranks[place][mine].sum() - of_class * (of_class + 1) / 2
            areas.append(above / (of_class * others))
    return float(np.mean(areas)) if areas else None
