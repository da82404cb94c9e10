"""From sample numbers to batches: shuffle and shard as numbers, read, prefetch."""

import os
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from tfdl.data.order import Position, epoch_draws, epoch_partners, shard_rows
from tfdl.data.sources import ArraySource, Source

_PREFETCH = 4  # batches ready before they are needed

WEIGHT = "weight"
"""The feature that says how much a sample of a training batch counts."""


class Augment(Protocol):
    """Changes training batches at random (see ``tfdl.data.augmentation``)."""

    num_draws: int
    """Uniform numbers in [0, 1) that each sample gets in each epoch."""
    mixes: bool
    """Whether each sample is mixed with another one."""

    def __call__(self, batch: dict[str, Any], draws: Any, *other: Any) -> dict[str, Any]:
        """The changed batch, by draws ``(b, num_draws)``; with ``mixes`` also by partners and their draws."""
        ...


def training_batches(
    source: Source,
    *,
    batch_size: int,
    seed: int,
    start: Position = Position(),  # noqa: B008  (frozen)
    shard_index: int = 0,
    num_shards: int = 1,
    augment: Augment | None = None,
) -> tf.data.Dataset:
    """Batches without end, epoch after epoch, each in an order of its own.

    One iterator serves a whole run: Python is called once an epoch, for the permutation; the rest is TensorFlow's.

    Args:
        source: the training split.
        batch_size: samples in a batch of this shard; the last batch of an epoch may hold fewer.
        seed: decides the order.
        start: where to begin; the skipped samples are not read.
        shard_index, num_shards: this shard's part of each global batch (see ``order.shard_rows``).
        augment: changes the batches. A sample's draws and its partner depend on seed, epoch and sample alone.

    Returns:
        A data set of feature dictionaries, with one more feature, ``WEIGHT``: float32 ``(b,)``, 1 for each sample. A
        shard that has no sample of the last batch gets a stand-in of weight 0, since not every kernel takes an empty
        batch (a convolution of oneDNN's answers with the wrong shape).
    """

    def rows_of(epoch: np.ndarray) -> tuple[np.ndarray, ...]:
        number, is_first = int(epoch), epoch == start.epoch
        block = (start.block if is_first else 0) or batch_size * num_shards
        order = source.epoch_order(seed, number, block)
        skipped = start.sample if is_first else 0
        rows = shard_rows(order[skipped:], batch_size, shard_index, num_shards)
        if augment is None:
            return (rows,)
        draws = epoch_draws(source.num_examples, seed, number, augment.num_draws)
        if not augment.mixes:
            return rows, draws[rows]
        partners = epoch_partners(order, seed, number)[rows]
        return rows, draws[rows], partners, draws[partners]

    def rows_dataset(epoch: Any) -> tf.data.Dataset:
        columns = [(tf.int64, []), (tf.float32, [draws])] * 2
        columns = columns[: _columns(augment)]
        found = tf.numpy_function(rows_of, [epoch], [dtype for dtype, _ in columns])
        shaped = [tf.ensure_shape(x, [None, batch_size, *rest]) for x, (_, rest) in zip(found, columns, strict=True)]
        return tf.data.Dataset.from_tensor_slices(tuple(shaped))

    def read(*columns: Any) -> dict[str, Any]:
        (row, *rest), weight = _counted(*columns)
        features = source.read(row)
        if augment is not None:
            draws, *partner = rest
            others = (source.read(partner[0]), partner[1]) if partner else ()
            features = augment(features, draws, *others)
        return {**features, WEIGHT: weight}

    draws = augment.num_draws if augment is not None else 0
    epochs = tf.data.Dataset.range(start.epoch, np.iinfo(np.int64).max)
    return _read_ahead(epochs.flat_map(rows_dataset), read)


def _columns(augment: Augment | None) -> int:
    """Rows; their draws; their partners, and these ones' draws."""
    return 1 if augment is None else 4 if augment.mixes else 2


def evaluation_batches(
    source: Source, *, batch_size: int, most_tokens: int | None = None, shard_index: int = 0, num_shards: int = 1
) -> tf.data.Dataset:
    """One pass over ``evaluation_pieces``. Shard ``i`` of ``n`` takes every ``n``-th piece from the ``i``-th.

    A batch holds the same samples for any number of shards; shards may have one batch more or less than others.
    """
    pieces = evaluation_pieces(source, batch_size, most_tokens)[shard_index::num_shards]
    numbers = np.concatenate([np.zeros(0, np.int64), *pieces])
    rows = tf.RaggedTensor.from_row_lengths(numbers, [len(piece) for piece in pieces])
    return _read_ahead(tf.data.Dataset.from_tensor_slices(rows), source.read)


def evaluation_pieces(source: Source, batch_size: int, most_tokens: int | None = None) -> list[np.ndarray]:
    """The samples that are evaluated together: in the split's own order, or as a source of texts has them, whose
    lengths say which fit well together and how many of them."""
    if hasattr(source, "evaluation_pieces"):
        pieces: list[np.ndarray] = source.evaluation_pieces(batch_size, most_tokens)
        return pieces
    return np.split(np.arange(source.num_examples), range(batch_size, source.num_examples, batch_size))


def load_into_memory(source: Any, batch_size: int = 256) -> ArraySource:
    """A whole split, decoded once; the source has a ``signature``, as a ``RecordSource``."""
    batches = list(evaluation_batches(source, batch_size=batch_size).as_numpy_iterator())
    return ArraySource({name: np.concatenate([batch[name] for batch in batches]) for name in source.signature})


def _counted(rows: Any, *others: Any) -> tuple[list[Any], Any]:
    """A shard's part of one batch without the -1 at its end, with what belongs to each row; and each row's weight.

    Where nothing is left, the first sample stands in, without weight.
    """
    count = tf.maximum(tf.math.count_nonzero(rows >= 0), 1)
    here = rows[:count]
    return [tf.maximum(here, 0), *(column[:count] for column in others)], tf.cast(here >= 0, tf.float32)


def _read_ahead(rows: tf.data.Dataset, read: Callable[..., Any]) -> tf.data.Dataset:
    workers = max(2, len(os.sched_getaffinity(0)))
    batches = rows.map(read, num_parallel_calls=workers, deterministic=True).prefetch(_PREFETCH)
    options = tf.data.Options()
    # Ending an autotuned iterator can wait for the tuner's thread as long as the epoch itself took; reading ahead is
    # set by hand above instead.
    options.autotune.enabled = False
    options.deterministic = True
    return batches.with_options(options)
