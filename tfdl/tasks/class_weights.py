"""Weights of classes in the training loss, for classes with unequal numbers of samples."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfdl.data import Source
from tfdl.data.pipeline import evaluation_batches
from tfdl.data.python_reading import taken
from tfdl.errors import UserError, nearest

BALANCED = "balanced"
_MOST_READ = 256  # samples of a batch, where labels can only be read with their inputs


def class_counts(source: Source, num_classes: int) -> np.ndarray:
    """The number of samples of each class, ``(classes,)``.

    Args:
        source: of a split, with the feature ``label``. Most have the labels in memory; others are read once, whole.
        num_classes: the number of classes.
    """
    values: Any = getattr(source, "values", None)
    if values is not None:
        labels = values("label")
    else:
        batches = taken(evaluation_batches(source, batch_size=_MOST_READ).as_numpy_iterator())
        labels = np.concatenate([batch["label"] for batch in batches])
    return np.bincount(labels, minlength=num_classes)


def class_weights(chosen: Sequence[str], class_names: Sequence[str], counts: np.ndarray) -> np.ndarray:
    r"""The weight of each class in the training loss.

    ``balanced`` gives class $c$ with $n_c$ of the $n$ samples of $k$ classes the weight $n / (k\, n_c)$, which makes
    all classes weigh the same (as scikit-learn does it). Classes without samples do not count.

    Args:
        chosen: ``("balanced",)``, or entries ``NAME=WEIGHT``; classes that are not named have the weight 1.
        class_names: of all classes.
        counts: the number of samples of each class.

    Returns:
        float64 ``(classes,)``.

    Raises:
        UserError: an unknown class, one that is named twice, or a weight that is negative, NaN or infinite.
    """
    if tuple(chosen) == (BALANCED,):
        num_present = np.count_nonzero(counts)
        return np.where(counts > 0, counts.sum() / (num_present * np.maximum(counts, 1)), 0.0)
    weights = dict.fromkeys(class_names, 1.0)
    named = set()
    for entry in chosen:
        name, sign, number = entry.rpartition("=")
        if not sign or name not in weights:
            raise UserError(
                f"class_weight has {entry!r}, expected {BALANCED} alone, or NAME=WEIGHT with the name of a class,"
                f" such as {class_names[0]}=2.{nearest(name, class_names)}"
            )
        if name in named:
            raise UserError(f"class_weight names {name!r} twice; expected each class at most once")
        named.add(name)
        weights[name] = _weight(number, entry)
    found = np.array([weights[name] for name in class_names])
    if not (found * counts).any():
        raise UserError(
            "class_weight gives every sample the weight 0; expected a class with samples and a weight above 0"
        )
    return found


def weights_in_words(weights: np.ndarray, class_names: Sequence[str]) -> str:
    """The smallest and the largest weight, to be printed.

    Args:
        weights: of the classes.
        class_names: their names.
    """
    least = int(weights.argmin())
    most = int(weights.argmax())
    smallest = f"{weights[least]:.3g} ({class_names[least]})"
    largest = f"{weights[most]:.3g} ({class_names[most]})"
    return f"class weights from {smallest} to {largest} in the training loss and its metrics"


def _weight(number: str, entry: str) -> float:
    try:
        weight = float(number)
    except ValueError:
        weight = -1.0
    if not 0 <= weight < np.inf:
        raise UserError(f"class_weight has {entry!r}, expected a weight of at least 0, such as 2 or 0.5")
    return weight
