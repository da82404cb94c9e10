"""Runs a model over a split and gathers one row for each sample."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data import Source, evaluation_batches
from tfdl.data.python_reading import taken
from tfdl.distributed import World
from tfdl.distributed.watchdog.current import tick
from tfdl.tasks.task import Task

Part = tuple[np.ndarray, dict[str, np.ndarray]]
"""Sample numbers ``(b,)``, and the columns of their rows."""


class Evaluator(ABC):
    """Evaluates a model exactly: the metrics on any number of ranks are those of one process.

    The split is cut into the same batches on any number of ranks, and the ranks divide the batches. Then every rank
    gathers all rows and sorts them in the split's order. So the metrics are computed from the rows that one process
    would have.

    Make one evaluator for a model and use it for every evaluation: its graph is compiled once.

    Args:
        model: the model.
        task: inputs, rows and metrics.
    """

    quick_results_differ: bool = False
    """Whether ``quickly`` evaluates less than the results do."""

    def __init__(self, model: Any, task: Task):
        self._model = model
        self._task = task

    @abstractmethod
    def rows(self, source: Source, world: World, *, quickly: bool = False) -> dict[str, np.ndarray]:
        """One row for each sample, in the split's own order, on every rank.

        Args:
            source: the split.
            world: the ranks that share the work; all of them must call.
            quickly: whether slow parts may be left out, as after an epoch.
        """

    def metrics(self, source: Source, world: World, *, quickly: bool = False) -> dict[str, float]:
        """The task's metrics over every sample, each counted once.

        Args:
            source: the split.
            world: the ranks that share the work; all of them must call.
            quickly: whether slow parts may be left out, as after an epoch.
        """
        return self._task.metrics(self.rows(source, world, quickly=quickly))


class BatchEvaluator(Evaluator):
    """Evaluates models whose samples do not depend on each other."""

    def __init__(self, model: Any, task: Task):
        super().__init__(model, task)
        self._batch_rows = tf.function(self._rows_of_batch, autograph=False, reduce_retracing=True)

    def rows(self, source: Source, world: World, *, quickly: bool = False) -> dict[str, np.ndarray]:  # noqa: ARG002
        """See ``Evaluator.rows``."""
        task = self._task
        parts = batch_parts(
            self._batch_rows, source, world, batch_size=task.evaluation_batch_size, most_tokens=task.evaluation_tokens
        )
        return in_order(parts, world)

    def _rows_of_batch(self, batch: Any) -> dict[str, Any]:
        outputs = self._model(self._task.inputs(batch), training=False)
        return self._task.evaluation_rows(batch, outputs)


def batch_parts(
    batch_rows: Any,
    source: Source,
    world: World,
    *,
    batch_size: int,
    most_tokens: int | None = None,
) -> Iterator[Part]:
    """This rank's share of a split's batches, as rows.

    Args:
        batch_rows: a ``tf.function`` from a batch to its rows.
        source: the split.
        world: the ranks that share the work.
        batch_size: most samples in a batch.
        most_tokens: most tokens in a batch, where samples are texts.
    """
    all_pieces = source.evaluation_pieces(batch_size, most_tokens)  # the sample numbers of each batch
    pieces = all_pieces[world.rank :: world.size]
    batches = evaluation_batches(
        source, batch_size=batch_size, most_tokens=most_tokens, shard_index=world.rank, num_shards=world.size
    )
    # One graph for batches of all shapes.
    compiled: Callable[..., dict[str, Any]] = batch_rows.get_concrete_function(batches.element_spec)
    for numbers, batch in zip(pieces, taken(batches), strict=True):
        rows = compiled(batch)
        yield numbers, {name: np.asarray(column) for name, column in rows.items()}
        tick()


def in_order(parts: Iterable[Part], world: World) -> dict[str, np.ndarray]:
    """All ranks' parts as columns, in the order of the samples' numbers.

    Args:
        parts: the parts of this rank.
        world: the ranks; all of them must call.
    """
    parts_of_ranks = world.all_gather_object(list(parts))
    all_parts = [part for rank_parts in parts_of_ranks for part in rank_parts]
    numbers = np.concatenate([part_numbers for part_numbers, _ in all_parts])
    order = np.argsort(numbers)
    _, first_columns = all_parts[0]
    ordered = {}
    for name in first_columns:
        column = np.concatenate([columns[name] for _, columns in all_parts])
        ordered[name] = column[order]
    return ordered
