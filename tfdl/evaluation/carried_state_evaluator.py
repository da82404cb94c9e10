"""Evaluates a model that carries its state through a split."""

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import tensorflow as tf

from tfdl.data import Source
from tfdl.data.sources import StreamedSource
from tfdl.distributed import World
from tfdl.distributed.watchdog.current import tick
from tfdl.evaluation.evaluator import Evaluator, Part, in_order
from tfdl.tasks.task import Task


class CarriedStateEvaluator(Evaluator):
    """Evaluates windows of a text one after the other, each with the state after the window before.

    The ranks divide the split's segments. A segment's rows are the same on any number of ranks.

    Args:
        model: a recurrent language model.
        task: inputs and rows of a batch.
    """

    def __init__(self, model: Any, task: Task):
        super().__init__(model, task)
        self._rows_and_state = tf.function(self._rows_and_state_of_batch, autograph=False, reduce_retracing=True)

    def rows(self, source: Source, world: World, *, quickly: bool = False) -> dict[str, np.ndarray]:  # noqa: ARG002
        """See ``Evaluator.rows``."""
        return in_order(self._parts(cast(StreamedSource, source), world), world)

    def _parts(self, source: StreamedSource, world: World) -> Iterator[Part]:
        for segment in source.segments()[world.rank :: world.size]:
            state = self._model.initial_state(segment.shape[1])
            for step in segment:
                # In the last step only the longer streams have a window; -1 stands for none.
                numbers = step[step >= 0]
                columns, state = self._rows_and_state(source.read(tf.constant(numbers)), state)
                yield numbers, {name: np.asarray(column) for name, column in columns.items()}
                tick()

    def _rows_and_state_of_batch(self, batch: Any, state: Any) -> Any:
        tokens = self._task.inputs(batch)  # (b, t)
        # The streams without a window are the last ones.
        state = tf.nest.map_structure(lambda rows: rows[: tf.shape(tokens)[0]], state)
        logits, state = self._model.with_state(tokens, state)
        return self._task.evaluation_rows(batch, logits), state
