"""Batches of a source: sample numbers are shuffled and sharded first, then samples are read ahead."""

import os
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from tensorflow.autograph.experimental import do_not_convert

from tfdl.data.order import Position, epoch_draws, epoch_partners, shard_rows
from tfdl.data.python_reading import taken
from tfdl.data.sources import ArraySource, Source

# Batches that are ready before they are needed.
_PREFETCHED_BATCHES = 4
# Samples of a piece of an epoch, over all shards. What is made for each of them is in memory for a piece alone.
_PIECE_SIZE = 2**16

WEIGHT = "weight"
"""The feature that holds each sample's weight in a training batch."""


class Augment(Protocol):
    """Changes training batches at random (see ``tfdl.data.augmentation``)."""

    num_draws: int
    """Uniform numbers in [0, 1) that each sample gets in each epoch."""
    mixes: bool
    """Whether each sample is mixed with another one."""

    def __call__(self, batch: dict[str, Any], draws: Any, *partners: Any) -> dict[str, Any]:
        """The changed batch.

        Args:
            batch: features by name.
            draws: ``(b, num_draws)``.
            *partners: with ``mixes``, the batch of the samples to mix with, and their own draws.
        """
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
    """Batches without end, epoch after epoch, each epoch in another order.

    One iterator serves a whole run. Python code makes the permutation once an epoch, and deals out pieces of many
    batches; TensorFlow does the rest.

    Args:
        source: the training split.
        batch_size: samples in a batch of this shard; the last batch of an epoch may hold fewer.
        seed: decides the order.
        start: where to begin; the skipped samples are not read.
        shard_index: which part of each global batch this shard reads (see ``order.shard_rows``).
        num_shards: the number of parts.
        augment: changes the batches. A sample's draws and its partner depend on seed, epoch and sample alone.

    Returns:
        A data set of feature dictionaries, with one more feature, ``WEIGHT``: float32 ``(b,)``, 1 for each sample. A
        shard without a sample of the last batch gets the first sample with weight 0, since not every kernel accepts an
        empty batch (oneDNN's convolution returns a wrong shape).
    """

    def epoch_arrays(epoch: np.ndarray) -> tuple[np.ndarray, ...]:
        """The sample numbers to read in an epoch, over all shards; by sample number the draws and partners."""
        number = int(epoch)
        is_first = number == start.epoch
        # An epoch keeps the order that it began with, even if the run resumes with another global batch size.
        global_batch = batch_size * num_shards
        if is_first and start.epoch_batch:
            global_batch = start.epoch_batch
        order = source.epoch_order(seed, number, global_batch)
        remaining = order[start.sample :] if is_first else order
        if augment is None:
            return (remaining,)
        draws = epoch_draws(source.num_examples, seed, number, augment.num_draws)
        if not augment.mixes:
            return remaining, draws
        return remaining, draws, epoch_partners(order, seed, number)

    def rows_of_shard(order: np.ndarray) -> np.ndarray:
        return shard_rows(order, batch_size, shard_index, num_shards)

    def epoch_dataset(epoch: Any) -> tf.data.Dataset:
        # The iterator holds these tensors, so they are freed with it.
        order, *by_sample = tf.numpy_function(epoch_arrays, [epoch], array_types)
        order = tf.ensure_shape(order, [None])

        def piece_dataset(begin: Any) -> tf.data.Dataset:
            rows = tf.numpy_function(rows_of_shard, [order[begin : begin + piece_size]], tf.int64)
            rows = tf.ensure_shape(rows, [None, batch_size])  # (steps, batch_size)
            return tf.data.Dataset.from_tensor_slices(_columns(rows, by_sample, augment))

        begins = tf.data.Dataset.range(0, tf.size(order, tf.int64), piece_size)
        return begins.flat_map(do_not_convert(piece_dataset))

    def read(*columns: Any) -> dict[str, Any]:
        (rows, *others), weight = _without_padding(*columns)
        features = source.read(rows)
        if augment is not None:
            draws, *partners = others
            if partners:
                partner_rows, partner_draws = partners
                features = augment(features, draws, source.read(partner_rows), partner_draws)
            else:
                features = augment(features, draws)
        return {**features, WEIGHT: weight}

    array_types = [tf.int64, tf.float32, tf.int64]
    if augment is None:
        array_types = array_types[:1]
    elif not augment.mixes:
        array_types = array_types[:2]
    # Whole global batches.
    piece_size = max(1, _PIECE_SIZE // (batch_size * num_shards)) * batch_size * num_shards
    epochs = tf.data.Dataset.range(start.epoch, np.iinfo(np.int64).max)
    return _read_ahead(epochs.flat_map(do_not_convert(epoch_dataset)), read, source)


def _columns(rows: Any, by_sample: list[Any], augment: Augment | None) -> tuple[Any, ...]:
    """Sample numbers ``(steps, batch_size)``; if batches are changed, also the draws and partners of the samples."""
    if augment is None:
        return (rows,)
    draws, *partners_by_sample = by_sample
    draws = tf.ensure_shape(draws, [None, augment.num_draws])
    samples = tf.maximum(rows, 0)  # -1 stands for no sample
    columns = rows, tf.gather(draws, samples)
    if not partners_by_sample:
        return columns
    partners = tf.gather(tf.ensure_shape(partners_by_sample[0], [None]), samples)
    return *columns, partners, tf.gather(draws, partners)


def evaluation_batches(
    source: Source, *, batch_size: int, most_tokens: int | None = None, shard_index: int = 0, num_shards: int = 1
) -> tf.data.Dataset:
    """One pass over ``source.evaluation_pieces``; shard ``i`` of ``n`` reads every ``n``-th piece from the ``i``-th.

    A batch holds the same samples for any number of shards. The number of batches of two shards differs by at most 1.

    Args:
        source: the split.
        batch_size: most samples in a batch.
        most_tokens: most tokens in a batch, if samples are texts; ``None`` sets no limit.
        shard_index: this shard, from 0.
        num_shards: the number of shards.
    """
    pieces = source.evaluation_pieces(batch_size, most_tokens)[shard_index::num_shards]
    lengths = [len(piece) for piece in pieces]
    numbers = np.concatenate([np.zeros(0, np.int64), *pieces])
    rows = tf.RaggedTensor.from_row_lengths(numbers, lengths)
    return _read_ahead(tf.data.Dataset.from_tensor_slices(rows), source.read, source)


def load_into_memory(source: Any, batch_size: int = 256) -> ArraySource:
    """Reads a whole split once and keeps it in memory.

    Args:
        source: a source with a ``signature``, such as a ``RecordSource``.
        batch_size: samples that are decoded together. The contents of their files are in memory at once.
    """
    batches = list(taken(evaluation_batches(source, batch_size=batch_size).as_numpy_iterator()))
    features = {name: np.concatenate([batch[name] for batch in batches]) for name in source.signature}
    return ArraySource(features)


def _without_padding(rows: Any, *others: Any) -> tuple[list[Any], Any]:
    """Leaves out the -1 at the end of a shard's part of one batch.

    If no sample remains, the batch consists of sample 0 with weight 0.

    Args:
        rows: sample numbers ``(batch_size,)``, with -1 at the end.
        *others: draws and partners, ``(batch_size, ...)``.

    Returns:
        The columns without padding, and the samples' weights, float32 ``(b,)``.
    """
    num_samples = tf.math.count_nonzero(rows >= 0)
    kept = tf.maximum(num_samples, 1)
    rows = rows[:kept]
    weight = tf.cast(rows >= 0, tf.float32)
    columns = [tf.maximum(rows, 0), *(column[:kept] for column in others)]
    return columns, weight


def _read_ahead(rows: tf.data.Dataset, read: Callable[..., Any], source: Source) -> tf.data.Dataset:
    """Reads batches on several threads, in order, before they are needed."""
    read = do_not_convert(read)
    if source.parallel_reads:
        num_threads = max(2, len(os.sched_getaffinity(0)))
        batches = rows.map(read, num_parallel_calls=num_threads, deterministic=True)
    else:
        batches = rows.map(read)
    batches = batches.prefetch(_PREFETCHED_BATCHES)
    options = tf.data.Options()
    # Closing an autotuned iterator can wait for the tuner's thread for as long as the epoch itself took. So parallelism
    # and prefetching are set above instead.
    options.autotune.enabled = False
    options.deterministic = True
    return batches.with_options(options)
