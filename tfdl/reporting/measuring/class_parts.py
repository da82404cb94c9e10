"""Confusions, scores and mistakes of a classifier, from one row for each sample."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tfdl.reporting.clean_text import shortened
from tfdl.reporting.measuring.measured import Classes, ClassScores, ConfusedPair, Guess, Mistake
from tfdl.tasks.classification_metrics import class_scores, confusion_matrix

CONFIDENCE = "confidence"
"""The column with the probability of the answer."""
_MOST_PAIRS = 15
_LONGEST_NAME = 40

Show = Callable[[Sequence[Mistake]], Sequence[Mistake]]
"""Adds the inputs, such as images, to mistakes."""


def classes_of(rows: Mapping[str, np.ndarray], names: Sequence[str], most_mistakes: int, show: Show) -> Classes:
    """Describes the answers of a classifier.

    Args:
        rows: ``label``, ``prediction``, ``loss`` and ``CONFIDENCE`` of each sample, ``(n,)``.
        names: of the classes.
        most_mistakes: that are shown.
        show: adds the inputs to mistakes.
    """
    counts = confusion_matrix(rows["label"], rows["prediction"], len(names))
    values = class_scores(counts)
    scores = [
        ClassScores(
            name,
            precision=float(values["precision"][number]),
            recall=float(values["recall"][number]),
            f1=float(values["f1"][number]),
            support=int(values["support"][number]),
        )
        for number, name in enumerate(names)
    ]
    is_wrong = rows["label"] != rows["prediction"]
    return Classes(
        names=tuple(names),
        counts=counts,
        scores=tuple(scores),
        confused=confused_pairs(counts, names),
        mistakes=tuple(show(_mistakes(rows, names, is_wrong, most_mistakes))),
        num_mistakes=int(is_wrong.sum()),
    )


def confused_pairs(counts: np.ndarray, names: Sequence[str], most: int = _MOST_PAIRS) -> tuple[ConfusedPair, ...]:
    """The pairs of classes that are confused most often, the most frequent first.

    Args:
        counts: the confusion matrix.
        names: of the classes.
        most: pairs.
    """
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    support = counts.sum(1)
    pairs = []
    for label, prediction in zip(*np.unravel_index(order, wrong.shape), strict=True):
        count = int(wrong[label, prediction])
        if count:
            pairs.append(ConfusedPair(names[label], names[prediction], count, count / int(support[label])))
    return tuple(pairs)


def largest_class(labels: np.ndarray, names: Sequence[str]) -> Guess | None:
    """The accuracy of answering the largest class for every sample; None if there is one class alone.

    Args:
        labels: ``(n,)``.
        names: of the classes.
    """
    support = np.bincount(labels, minlength=len(names))
    if np.count_nonzero(support) < 2:
        return None
    largest = int(support.argmax())
    name = shortened(names[largest], _LONGEST_NAME)
    return Guess("accuracy", float(support[largest] / len(labels)), f"answering {name!r}, the largest class")


def _mistakes(rows: Mapping[str, np.ndarray], names: Sequence[str], is_wrong: np.ndarray, most: int) -> list[Mistake]:
    """The mistakes with the largest confidence. One whose confidence is NaN is left out."""
    numbers = np.flatnonzero(is_wrong & np.isfinite(rows[CONFIDENCE]))
    order = np.argsort(-rows[CONFIDENCE][numbers], kind="stable")[:most]
    return [
        Mistake(
            number=int(number),
            label=names[rows["label"][number]],
            prediction=names[rows["prediction"][number]],
            confidence=float(rows[CONFIDENCE][number]),
            label_probability=float(np.exp(-np.float64(rows["loss"][number]))),
        )
        for number in numbers[order]
    ]
