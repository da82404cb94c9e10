"""Confusions, scores and mistakes of a classifier, from one row for each sample."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tfdl.reporting.clean_text import quoted
from tfdl.reporting.measuring.measured import MOST_PAIRS, Classes, ClassScores, ConfusedPair, Guess, Mistake
from tfdl.tasks.classification_metrics import class_scores, confusion_matrix, largest_class

CONFIDENCE = "confidence"
"""The column with the probability of the answer."""

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


def confused_pairs(counts: np.ndarray, names: Sequence[str], most: int = MOST_PAIRS) -> tuple[ConfusedPair, ...]:
    """The pairs of classes that are confused most often, the most frequent first.

    Args:
        counts: the confusion matrix.
        names: of the classes.
        most: pairs.
    """
    # With many classes nearly all cells are 0, and sorting them would take memory several times that of the matrix.
    labels, predictions = np.nonzero(counts)
    is_wrong = labels != predictions
    labels, predictions = labels[is_wrong], predictions[is_wrong]
    values = counts[labels, predictions]
    support = counts.sum(1)
    return tuple(
        ConfusedPair(
            names[labels[cell]],
            names[predictions[cell]],
            count=int(values[cell]),
            share=float(values[cell] / support[labels[cell]]),
        )
        for cell in np.argsort(-values, kind="stable")[:most]
    )


def class_guess(labels: np.ndarray, names: Sequence[str]) -> Guess | None:
    """The accuracy of answering the largest class for every sample; None if there is one class alone.

    Args:
        labels: ``(n,)``.
        names: of the classes.
    """
    guess = largest_class(labels, len(names))
    if guess is None:
        return None
    number, accuracy = guess
    return Guess("accuracy", accuracy, f"answering {quoted(names[number])}, the largest class")


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
