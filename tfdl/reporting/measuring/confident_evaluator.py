"""Evaluates a classifier with the probability of each answer."""

from typing import Any

import tensorflow as tf

from tfdl.evaluation.evaluator import BatchEvaluator
from tfdl.reporting.measuring.class_parts import CONFIDENCE


class ConfidentEvaluator(BatchEvaluator):
    """As ``BatchEvaluator``, with another column: the probability of the answer.

    With many classes, rows do not have the scores of all classes, from which it could be computed later.
    """

    def _rows_of_batch(self, batch: Any) -> dict[str, Any]:
        logits = self._model(self._task.inputs(batch), training=False)  # (b, classes)
        rows = self._task.evaluation_rows(batch, logits)
        log_probabilities = tf.nn.log_softmax(tf.cast(logits, tf.float32))
        return rows | {CONFIDENCE: tf.exp(tf.reduce_max(log_probabilities, -1))}
