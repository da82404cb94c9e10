"""Classes and their probabilities as answers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.tasks.prediction import Record, rounded

_MOST_LIKELY = 1


class ClassAnswers:
    """The most likely class, or several of them.

    Args:
        class_names: a name for each class number.
        top_k: how many of the most likely classes to return. Defaults to 1.
    """

    def __init__(self, class_names: Sequence[str], top_k: int | None = None):
        self._class_names = class_names
        self._top_k = min(top_k or _MOST_LIKELY, len(class_names))

    def most_likely(self, logits: Any) -> dict[str, Any]:
        """The most likely classes, the best one first; of equally likely ones, that with the lowest number.

        Args:
            logits: ``(b, classes)``.

        Returns:
            ``class_id`` int32 and ``probability``, ``(b, k)``.
        """
        probability, class_id = tf.math.top_k(tf.nn.softmax(logits), self._top_k)
        return {"class_id": class_id, "probability": probability}

    def records(self, outputs: Mapping[str, np.ndarray]) -> list[Record]:
        """``class_name``, ``class_id`` and ``probability``; with several classes also ``top``, a list of these."""
        probabilities = rounded(outputs["probability"])
        records = []
        for class_ids, row in zip(outputs["class_id"].tolist(), probabilities, strict=True):
            ranked = [self._record(*pair) for pair in zip(class_ids, row, strict=True)]
            record = dict(ranked[0])
            if self._top_k > 1:
                record["top"] = ranked
            records.append(record)
        return records

    def _record(self, class_id: int, probability: float) -> Record:
        return {"class_name": self._class_names[class_id], "class_id": class_id, "probability": probability}
