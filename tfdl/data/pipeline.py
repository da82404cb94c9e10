"""From sample numbers to batches: shuffle and shard as numbers, read, prefetch."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data.augmentation import NUM_DRAWS
from tfdl.data.order import Position, epoch_draws, shard_rows
from tfdl.data.sources import ArraySource, Source

_PREFETCH = 4  # batches ready before they are needed

WEIGHT = "weight"
"""The feature that says how much a sample of a training batch counts."""

Augment = Callable[[dict[str, Any], Any], dict[str, Any]]


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
        augment: changes a batch of features by its samples' draws, ``(b, NUM_DRAWS)`` in [0, 1).

    Returns:
        A data set of feature dictionaries, with one more feature, ``WEIGHT``: float32 ``(b,)``, 1 for each sample. A
        shard that has no sample of the last batch gets a stand-in of weight 0, since not every kernel takes an empty
        batch (a convolution of oneDNN's answers with the wrong shape).
    """

    def rows_of(epoch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        is_first = epoch == start.epoch
        block = (start.block if is_first else 0) or batch_size * num_shards
        order = source.epoch_order(seed, int(epoch), block)
        skipped = start.sample if is_first else 0
        rows = shard_rows(order[skipped:], batch_size, shard_index, num_shards)
        if augment is None:
            return rows, np.zeros((*rows.shape, NUM_DRAWS), np.float32)
        return rows, epoch_draws(source.num_examples, seed, int(epoch))[rows]

    def rows_dataset(epoch: Any) -> tf.data.Dataset:
        rows, draws = tf.numpy_function(rows_of, [epoch], (tf.int64, tf.float32))
        rows = tf.ensure_shape(rows, [None, batch_size])
        return tf.data.Dataset.from_tensor_slices((rows, tf.ensure_shape(draws, [None, batch_size, NUM_DRAWS])))

    def read(row: Any, draws: Any) -> dict[str, Any]:
        row, draws, weight = _counted(row, draws)
        features = source.read(row)
        features = features if augment is None else augment(features, draws)
        return {**features, WEIGHT: weight}

    epochs = tf.data.Dataset.range(start.epoch, np.iinfo(np.int64).max)
    return _read_ahead(epochs.flat_map(rows_dataset), read)


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


def _counted(row: Any, draws: Any) -> tuple[Any, Any, Any]:
    """A shard's part of one batch without its -1, and each sample's weight; never empty."""
    here = row >= 0
    row, draws = tf.boolean_mask(row, here), tf.boolean_mask(draws, here)
    samples = tf.size(row)
    missing = tf.cast(samples == 0, tf.int32)
    weight = tf.concat([tf.ones([samples]), tf.zeros([missing])], 0)
    return tf.pad(row, [[0, missing]]), tf.pad(draws, [[0, missing], [0, 0]]), weight


def _read_ahead(rows: tf.data.Dataset, read: Callable[..., Any]) -> tf.data.Dataset:
    workers = max(2, len(os.sched_getaffinity(0)))
    batches = rows.map(read, num_parallel_calls=workers, deterministic=True).prefetch(_PREFETCH)
    options = tf.data.Options()
    # Ending an autotuned iterator can wait for the tuner's thread as long as the epoch itself took; reading ahead is
    # set by hand above instead.
    options.autotune.enabled = False
    options.deterministic = True
    return batches.with_options(options)
