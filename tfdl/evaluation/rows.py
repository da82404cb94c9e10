"""Runs a model over a split and gathers one row for each sample."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data import Source, evaluation_batches
from tfdl.data.pipeline import evaluation_pieces
from tfdl.distributed import World
from tfdl.distributed.watchdog.current import tick
from tfdl.evaluation.carried_rows import CarriedRows, Part
from tfdl.evaluation.decoding_rows import DecodingRows

Rows = Callable[[Any], dict[str, Any]] | CarriedRows | DecodingRows


def row_function(model: Any, task: Any) -> Rows:
    """One batch to its rows, as a compiled graph; make it once for a model and use it for every evaluation."""
    if task.carries_state:
        return CarriedRows(model, task)
    if hasattr(task, "decoded_rows"):
        return DecodingRows(model, task)

    @tf.function(reduce_retracing=True)
    def rows_of(batch: Any) -> dict[str, Any]:
        rows: dict[str, Any] = task.evaluation_rows(batch, model(task.inputs(batch), training=False))
        return rows

    return rows_of


def evaluate_source(
    task: Any, rows_of: Rows, source: Source, world: World, *, quickly: bool = False
) -> dict[str, float]:
    """The task's metrics over every sample of ``source``, each counted once, whatever the number of ranks.

    ``quickly`` decodes fewer samples, of a task that writes texts; all else is the same.
    """
    metrics: dict[str, float] = task.metrics(gather_rows(task, rows_of, source, world, quickly=quickly))
    return metrics


def gather_rows(
    task: Any, rows_of: Rows, source: Source, world: World, *, quickly: bool = False
) -> dict[str, np.ndarray]:
    """One row for each sample of ``source``, in the split's own order, on every rank.

    The batches (of a model with a state, the segments) are dealt out to the ranks; then every rank gathers all rows and
    puts them in order, so that what is computed from them is what one process would compute. Of a task that writes
    texts there are also the columns of those samples that were decoded, and of their texts.
    """
    if isinstance(rows_of, CarriedRows):
        return _together(rows_of.parts(source, world.rank, world.size), world)
    sizes = {"batch_size": task.evaluation_batch_size, "most_tokens": task.evaluation_tokens}
    if not isinstance(rows_of, DecodingRows):
        return _together(_batch_parts(rows_of, source, world, **sizes), world)
    given = _together(_batch_parts(rows_of.given, source, world, **sizes), world)
    chosen: Any = source
    chosen = chosen.spread(task.most_decoded_quickly if quickly else task.most_decoded)
    parts = _batch_parts(rows_of.decoded, chosen, world, batch_size=task.decoding_batch_size)
    return given | _together(parts, world) | chosen.texts("source", "target")


def _together(mine: Iterable[Part], world: World) -> dict[str, np.ndarray]:
    """All ranks' parts as columns, in the order of the samples' numbers."""
    parts = [part for theirs in world.all_gather_object(list(mine)) for part in theirs]
    in_order = np.argsort(np.concatenate([numbers for numbers, _ in parts]))
    return {name: np.concatenate([columns[name] for _, columns in parts])[in_order] for name in parts[0][1]}


def _batch_parts(rows_of: Any, source: Source, world: World, **sizes: Any) -> Iterator[Part]:
    pieces = evaluation_pieces(source, **sizes)[world.rank :: world.size]
    batches = evaluation_batches(source, **sizes, shard_index=world.rank, num_shards=world.size)
    rows_of = rows_of.get_concrete_function(batches.element_spec)  # one graph for batches of all shapes
    for numbers, batch in zip(pieces, batches, strict=True):
        yield numbers, {name: np.asarray(column) for name, column in rows_of(batch).items()}
        tick()
