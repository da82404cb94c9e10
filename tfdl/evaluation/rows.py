"""Runs a model over a split and gathers one row for each sample."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data import Source, evaluation_batches
from tfdl.distributed import World
from tfdl.distributed.watchdog.current import tick

# The same batches for any number of ranks, so that a sample's loss is computed in the same company, to the bit.
EVALUATION_BATCH_SIZE = 256


def row_function(model: Any, task: Any) -> Callable[[Any], dict[str, Any]]:
    """One batch to its rows, as a compiled graph; make it once for a model and use it for every evaluation."""

    @tf.function(reduce_retracing=True)
    def rows_of(batch: Any) -> dict[str, Any]:
        rows: dict[str, Any] = task.evaluation_rows(batch, model(task.inputs(batch), training=False))
        return rows

    return rows_of


def evaluate_source(task: Any, rows_of: Callable[[Any], Any], source: Source, world: World) -> dict[str, float]:
    """The task's metrics over every sample of ``source``, each counted once, whatever the number of ranks."""
    metrics: dict[str, float] = task.metrics(gather_rows(rows_of, source, world))
    return metrics


def gather_rows(rows_of: Callable[[Any], Any], source: Source, world: World) -> dict[str, np.ndarray]:
    """One row for each sample of ``source``, in the split's own order, on every rank.

    The batches are dealt out to the ranks; then every rank gathers all rows and puts them in order, so that what is
    computed from them is what one process would compute.
    """
    batches = evaluation_batches(
        source, batch_size=EVALUATION_BATCH_SIZE, shard_index=world.rank, num_shards=world.size
    )
    parts = []
    for batch in batches:
        parts.append({name: np.asarray(column) for name, column in rows_of(batch).items()})
        tick()
    numbers = range(world.rank, -(-source.num_examples // EVALUATION_BATCH_SIZE), world.size)
    everyone = world.all_gather_object(dict(zip(numbers, parts, strict=True)))
    in_order = [part for _, part in sorted((item for mine in everyone for item in mine.items()), key=_number)]
    return {name: np.concatenate([part[name] for part in in_order]) for name in in_order[0]}


def _number(item: tuple[int, Any]) -> int:
    return item[0]
