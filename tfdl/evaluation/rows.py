"""Runs a model over a split and gathers one row for each sample."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data import Source, evaluation_batches
from tfdl.data.pipeline import evaluation_pieces
from tfdl.distributed import World
from tfdl.distributed.watchdog.current import tick
from tfdl.evaluation.carried_rows import CarriedRows, Part

# The same batches for any number of ranks, so that a sample's loss is computed in the same company, to the bit.
EVALUATION_BATCH_SIZE = 256

Rows = Callable[[Any], dict[str, Any]] | CarriedRows


def row_function(model: Any, task: Any) -> Rows:
    """One batch to its rows, as a compiled graph; make it once for a model and use it for every evaluation."""
    if getattr(task, "carries_state", False):
        return CarriedRows(model, task)

    @tf.function(reduce_retracing=True)
    def rows_of(batch: Any) -> dict[str, Any]:
        rows: dict[str, Any] = task.evaluation_rows(batch, model(task.inputs(batch), training=False))
        return rows

    return rows_of


def evaluate_source(task: Any, rows_of: Rows, source: Source, world: World) -> dict[str, float]:
    """The task's metrics over every sample of ``source``, each counted once, whatever the number of ranks."""
    metrics: dict[str, float] = task.metrics(gather_rows(task, rows_of, source, world))
    return metrics


def gather_rows(task: Any, rows_of: Rows, source: Source, world: World) -> dict[str, np.ndarray]:
    """One row for each sample of ``source``, in the split's own order, on every rank.

    The batches (of a model with a state, the segments) are dealt out to the ranks; then every rank gathers all rows and
    puts them in order, so that what is computed from them is what one process would compute.
    """
    if isinstance(rows_of, CarriedRows):
        mine = list(rows_of.parts(source, world.rank, world.size))
    else:
        mine = list(_batch_parts(task, rows_of, source, world))
    parts: list[Part] = [part for theirs in world.all_gather_object(mine) for part in theirs]
    in_order = np.argsort(np.concatenate([numbers for numbers, _ in parts]))
    return {name: np.concatenate([columns[name] for _, columns in parts])[in_order] for name in parts[0][1]}


def _batch_parts(task: Any, rows_of: Callable[[Any], Any], source: Source, world: World) -> Iterator[Part]:
    size = {
        "batch_size": getattr(task, "evaluation_batch_size", EVALUATION_BATCH_SIZE),
        "most_tokens": getattr(task, "evaluation_tokens", None),
    }
    pieces = evaluation_pieces(source, **size)[world.rank :: world.size]
    batches = evaluation_batches(source, **size, shard_index=world.rank, num_shards=world.size)
    for numbers, batch in zip(pieces, batches, strict=True):
        yield numbers, {name: np.asarray(column) for name, column in rows_of(batch).items()}
        tick()
