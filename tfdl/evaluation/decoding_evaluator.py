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
    """Evaluates the losses of the targets, and the texts that the model writes from the sources alone.

    Args:
        model: an encoder-decoder.
        task: inputs and rows of a batch.
    """

    quick_results_differ = True

    def __init__(self, model: Any, task: DecodingTask):
        super().__init__(model, task)
        self._decoding_task = task
        self._decoded_rows = tf.function(
            lambda batch: task.decoded_rows(model, batch), autograph=False, reduce_retracing=True
        )

    def rows(self, source: Source, world: World, *, quickly: bool = False) -> dict[str, np.ndarray]:
        """See ``Evaluator.rows``. Columns of decoded samples and of their original texts may be shorter than others."""
        task = self._decoding_task
        loss_columns = super().rows(source, world)
        most_decoded = task.most_decoded_quickly if quickly else task.most_decoded
        decoded_source = cast(TextSource, source).spread(most_decoded)
        parts = batch_parts(self._decoded_rows, decoded_source, world, batch_size=task.decoding_batch_size)
        decoded_columns = in_order(parts, world)
        text_columns = decoded_source.texts(*task.text_roles)
        return loss_columns | decoded_columns | text_columns
