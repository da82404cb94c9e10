"""Evaluates a model that writes texts."""

from typing import Any, cast

import numpy as np
import tensorflow as tf

from tfdl.data import Source
from tfdl.data.sources import TextSource
from tfdl.distributed import World
from tfdl.evaluation.evaluator import BatchEvaluator, batch_parts, in_order
from tfdl.tasks.task import DecodingTask


class DecodingEvaluator(BatchEvaluator):
    """Evaluates the losses of the given targets, and the texts that the model writes from the sources alone.

    Args:
        model: an encoder-decoder.
        task: inputs and rows of a batch.
    """

    quick_results_differ = True

    def __init__(self, model: Any, task: DecodingTask):
        super().__init__(model, task)
        self._decoding_task = task
        self._decoded_rows = tf.function(lambda batch: task.decoded_rows(model, batch), reduce_retracing=True)

    def rows(self, source: Source, world: World, *, quickly: bool = False) -> dict[str, np.ndarray]:
        """As ``Evaluator.rows``, and columns of the samples that were decoded, and of their original texts."""
        task = self._decoding_task
        columns = super().rows(source, world)
        most = task.most_decoded_quickly if quickly else task.most_decoded
        decoded = cast(TextSource, source).spread(most)
        parts = batch_parts(self._decoded_rows, decoded, world, batch_size=task.decoding_batch_size)
        return columns | in_order(parts, world) | decoded.texts(*task.text_roles)
