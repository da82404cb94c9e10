"""Metrics of a classifier, from one row for each sample."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

MOST_SCORED_CLASSES = 100
"""With more classes than this, rows do not have the scores of all classes, and there is no AUC."""
TOP = 5
"""A label among this many highest scores counts for the top-5 accuracy."""


def classification_rows(losses: Any, labels: Any, logits: Any) -> dict[str, Any]:
    """One row for each sample of a batch: all that its metrics need, on any number of ranks.

    Args:
        losses: ``(b,)``.
        labels: ``(b,)`` integers.
        logits: ``(b, num_classes)``.

    Returns:
        ``loss``; ``label``; ``prediction``, the class of the largest logit; ``num_above``, the number of classes whose
        logit is above the label's, 0 for the best; and ``logits``, unless there are many classes.
    """
    label_logits = tf.gather(logits, labels, batch_dims=1)[:, tf.newaxis]  # (b, 1)
    # Not `logits > label_logits`: comparisons with NaN are false, and a label with a NaN is below all classes.
    is_above = tf.logical_not(logits <= label_logits)  # (b, num_classes)
    rows = {
        "loss": losses,
        "label": labels,
        "prediction": tf.argmax(logits, -1, tf.int32),
        "num_above": tf.reduce_sum(tf.cast(is_above, tf.int32), -1),
    }
    if logits.shape[-1] <= MOST_SCORED_CLASSES:
        rows["logits"] = logits
    return rows


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts ``(num_classes, num_classes)``: the row is the true class, the column the predicted one.

    Args:
        labels: ``(n,)`` integers.
        predictions: ``(n,)`` integers.
        num_classes: number of classes.
    """
    cells = labels.astype(np.int64) * num_classes + predictions
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def class_scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    r"""Each class's precision, recall, F1 and support, from a confusion matrix.

    With $TP$, $FP$ and $FN$ the counts of one class: precision is $TP / (TP + FP)$, recall $TP / (TP + FN)$, F1
    $2\,TP / (2\,TP + FP + FN)$, and 0 where the denominator is; support is the number of samples, $TP + FN$.
    """
    correct = np.diag(counts)  # TP
    labelled = counts.sum(1)  # TP + FN
    predicted = counts.sum(0)  # TP + FP
    # Where a denominator is 0, the numerator is 0 too.
    return {
        "precision": correct / np.maximum(predicted, 1),
        "recall": correct / np.maximum(labelled, 1),
        "f1": 2 * correct / np.maximum(labelled + predicted, 1),
        "support": labelled,
    }


def classification_metrics(rows: Mapping[str, np.ndarray], num_classes: int) -> dict[str, float]:
    """The metrics of a split: mean loss (in float64), accuracy, and averages over classes.

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
    occurs = (counts.sum(0) + counts.sum(1)) > 0  # (num_classes,)
    metrics = {
        "loss": float(np.mean(rows["loss"], dtype=np.float64)),
        "accuracy": float(np.trace(counts) / len(labels)),
    }
    if num_classes > TOP:
        metrics[f"top_{TOP}_accuracy"] = float(np.mean(rows["num_above"] < TOP))
    for name in ("precision", "recall", "f1"):
        metrics[name] = float(scores[name][occurs].mean())
    if "logits" in rows:
        auc = one_vs_rest_auc(labels, rows["logits"])
        if auc is not None:
            metrics["auc"] = auc
    return metrics


def classification_details(rows: Mapping[str, np.ndarray], class_names: Sequence[str]) -> dict[str, Any]:
    """What a report shows besides the metrics, as plain data.

    Args:
        rows: as for ``classification_metrics``.
        class_names: a name for each class.

    Returns:
        ``classes``: for each name its ``precision``, ``recall``, ``f1`` and ``support``; ``confusion_matrix``: rows of
        counts, a row for each true class.
    """
    counts = confusion_matrix(rows["label"], rows["prediction"], len(class_names))
    scores = {name: values.tolist() for name, values in class_scores(counts).items()}
    classes = {}
    for number, class_name in enumerate(class_names):
        classes[class_name] = {name: values[number] for name, values in scores.items()}
    return {"classes": classes, "confusion_matrix": counts.tolist()}


def largest_class(labels: np.ndarray, num_classes: int) -> tuple[int, float] | None:
    """The class that answers most samples, and the accuracy of answering it for every sample.

    Args:
        labels: ``(n,)`` integers.
        num_classes: number of classes.

    Returns:
        The class and the accuracy; None if all samples have one class, so that nothing can be better.
    """
    support = np.bincount(labels, minlength=num_classes)
    if np.count_nonzero(support) < 2:
        return None
    largest = int(support.argmax())
    return largest, float(support[largest] / len(labels))


def guessing_warning(rows: Mapping[str, np.ndarray], class_names: Sequence[str]) -> str:
    """Warns if a model is no better than answering the largest class for every sample; empty if it is better.

    Args:
        rows: as for ``classification_metrics``.
        class_names: a name for each class.
    """
    if "label" not in rows or "prediction" not in rows:
        return ""  # a derived task has other rows
    labels = rows["label"]
    guess = largest_class(labels, len(class_names))
    if guess is None:
        return ""
    largest, share = guess
    accuracy = float(np.mean(labels == rows["prediction"]))
    if accuracy > share:
        return ""
    return (
        f"accuracy {accuracy:.4f} is no better than answering {class_names[largest]!r}, the largest class, for every"
        f" sample ({share:.4f})"
    )


def one_vs_rest_auc(labels: np.ndarray, logits: np.ndarray) -> float | None:
    r"""The area under the ROC curve of each class against the others, averaged over classes.

    For one class it is the probability that a sample of the class scores higher than a sample of another class; a tie
    counts half (Mann and Whitney, 1947). With $n_1$ samples of the class, $n_0$ others, and $R$ the sum of the ranks
    of the class's samples among all scores, it is $(R - n_1 (n_1 + 1) / 2) / (n_1 n_0)$. A score is the probability of
    the class, computed in float64. Ranks are multiples of 1/2, so their sums are exact.

    Args:
        labels: ``(n,)``.
        logits: ``(n, num_classes)``.

    Returns:
        The mean over the classes that some samples have and others do not; ``None`` if there is no such class.
    """
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    exponentials = np.exp(shifted)
    probabilities = exponentials / exponentials.sum(1, keepdims=True)  # (n, num_classes)
    areas = []
    for number in range(logits.shape[1]):
        is_of_class = labels == number  # (n,)
        num_of_class = int(is_of_class.sum())
        num_others = len(labels) - num_of_class
        if num_of_class and num_others:
            rank_sum = _tied_ranks(probabilities[:, number])[is_of_class].sum()
            num_pairs_in_order = rank_sum - num_of_class * (num_of_class + 1) / 2
            areas.append(num_pairs_in_order / (num_of_class * num_others))
    return float(np.mean(areas)) if areas else None


def _tied_ranks(scores: np.ndarray) -> np.ndarray:
    """The rank of each score ``(n,)``, from 1 for the smallest; equal scores have the mean of their ranks."""
    _, value_numbers, counts = np.unique(scores, return_inverse=True, return_counts=True)
    value_ranks = np.cumsum(counts) - (counts - 1) / 2  # of each distinct value
    return value_ranks[value_numbers]
