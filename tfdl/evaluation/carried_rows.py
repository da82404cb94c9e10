"""Rows of a model that goes through a split with its state."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.distributed.watchdog.current import tick

Part = tuple[np.ndarray, dict[str, np.ndarray]]
"""Samples by number, and their rows."""


class CarriedRows:
    """Evaluates windows one after the other, each with the state that the one before it left.

    Args:
        model: a recurrent language model.
        task: inputs and rows of a batch.
    """

    def __init__(self, model: Any, task: Any):
        self._model, self._task = model, task
        self._rows = tf.function(self._rows_and_state, reduce_retracing=True)

    def parts(self, source: Any, rank: int, size: int) -> Iterator[Part]:
        """This rank's share of a source's segments; a segment's rows are the same on any number of ranks."""
        for table in source.segments()[rank::size]:
            state = self._model.initial_state(table.shape[1])
            for numbers in table:
                here = numbers[numbers >= 0]  # at the last step the first streams alone
                columns, state = self._rows(source.read(tf.constant(here)), state)
                yield here, {name: np.asarray(column) for name, column in columns.items()}
                tick()

    def _rows_and_state(self, batch: Any, state: Any) -> Any:
        tokens = self._task.inputs(batch)
        state = tf.nest.map_structure(lambda rows: rows[: tf.shape(tokens)[0]], state)
        logits, state = self._model.with_state(tokens, state)
        return self._task.evaluation_rows(batch, logits), state
