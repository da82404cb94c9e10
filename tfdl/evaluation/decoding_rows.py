"""Rows of a model that writes texts."""

from typing import Any

import tensorflow as tf


class DecodingRows:
    """Evaluates what a model thinks of the targets, and what it writes itself, from the sources alone.

    Args:
        model: an encoder-decoder.
        task: inputs and rows of a batch.
    """

    def __init__(self, model: Any, task: Any):
        self.given = tf.function(
            lambda batch: task.evaluation_rows(batch, model(task.inputs(batch), training=False)), reduce_retracing=True
        )
        self.decoded = tf.function(lambda batch: task.decoded_rows(model, batch), reduce_retracing=True)
