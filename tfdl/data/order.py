"""Which samples each step reads: a function of seed, epoch and position alone, for any number of ranks.

Every kind of random number has a separate stream: the same key (seed and epoch), with another counter.
"""

from dataclasses import dataclass

import numpy as np

# Global batches that are sorted by length together. So many hold enough samples of about equal length, and are a small
# part of an epoch, so that the order of the epoch stays random.
_SORTED_BATCHES = 50


@dataclass(frozen=True)
class Position:
    """How far a run has read, counted over all ranks."""

    epoch: int = 0
    """Epochs that were read completely."""
    sample: int = 0
    """Samples that were read of the next epoch."""
    epoch_batch: int = 0
    """Global batch size that the order of that epoch was made for; 0 stands for the current one."""


def epoch_order(num_examples: int, seed: int, epoch: int) -> np.ndarray:
    """A permutation of all samples, another one for each epoch.

    Args:
        num_examples: number of samples.
        seed: of the run.
        epoch: number of the epoch, from 0.

    Returns:
        int64 ``(num_examples,)``.
    """
    stream = np.random.Philox(key=[seed, epoch])
    return np.random.Generator(stream).permutation(num_examples)


def order_by_length(lengths: np.ndarray, seed: int, epoch: int, global_batch: int) -> np.ndarray:
    """A permutation in which the samples of one global batch have about equal lengths, so that little is padded.

    The epoch's random order is cut into pieces of ``_SORTED_BATCHES`` global batches, and each piece is sorted by
    length. Then whole batches are shuffled. A last batch that is not full stays the last.

    Args:
        lengths: tokens of each sample, ``(n,)``.
        seed: of the run.
        epoch: number of the epoch, from 0.
        global_batch: samples in a batch over all ranks.

    Returns:
        int64 ``(n,)``.
    """
    order = epoch_order(len(lengths), seed, epoch)
    piece_size = global_batch * _SORTED_BATCHES
    for begin in range(0, len(order), piece_size):
        piece = order[begin : begin + piece_size]
        by_length = np.argsort(lengths[piece], kind="stable")
        order[begin : begin + piece_size] = piece[by_length]
    num_full_batches = len(order) // global_batch
    num_in_full_batches = num_full_batches * global_batch
    stream = np.random.Philox(key=[seed, epoch], counter=[0, 0, 0, 2])
    shuffled = np.random.Generator(stream).permutation(num_full_batches)
    full_batches = order[:num_in_full_batches].reshape(num_full_batches, global_batch)
    full_batches[:] = full_batches[shuffled]
    return order


def stream_order(num_windows: int, rows: int) -> np.ndarray:
    """Windows in ``rows`` streams that are read side by side.

    The streams are consecutive pieces of the corpus. If the windows cannot be shared out evenly, the first streams have
    one window more. Then the last step has the windows of those streams alone, and each is still in its own row.

    Args:
        num_windows: windows of the corpus.
        rows: number of streams.

    Returns:
        int64 ``(num_windows,)``: at place ``t * rows + r`` the number of the window that row ``r`` reads at step ``t``.
    """
    least, num_longer = divmod(num_windows, rows)
    lengths = least + (np.arange(rows) < num_longer)
    first_windows = np.cumsum(lengths) - lengths  # (rows,)
    steps = np.arange(lengths.max())
    table = first_windows + steps[:, np.newaxis]  # (steps, rows)
    return table.reshape(-1)[:num_windows]


def epoch_offset(num_tokens: int, seed: int, epoch: int) -> int:
    """The token at which a stream begins in this epoch.

    Args:
        num_tokens: tokens of the stream.
        seed: of the run.
        epoch: number of the epoch, from 0.

    Returns:
        From 0 to ``num_tokens - 1``.
    """
    stream = np.random.Philox(key=[seed, epoch], counter=[0, 0, 0, 3])
    return int(np.random.Generator(stream).integers(num_tokens))


def epoch_draws(num_examples: int, seed: int, epoch: int, num_draws: int) -> np.ndarray:
    """Uniform numbers for each sample's random changes in this epoch.

    Args:
        num_examples: number of samples.
        seed: of the run.
        epoch: number of the epoch, from 0.
        num_draws: numbers for each sample.

    Returns:
        float32 ``(num_examples, num_draws)`` in [0, 1).
    """
    stream = np.random.Philox(key=[seed, epoch], counter=[0, 0, 0, 1])
    return np.random.Generator(stream).random((num_examples, num_draws), np.float32)


def epoch_partners(order: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """For each sample, the sample that it is mixed with.

    It is the one that comes a fixed distance after it in the order of the whole epoch, whatever the batch or the rank
    of the two. The distance is drawn for each epoch. So every sample is the partner of exactly one sample. The only
    sample of a split is its own partner.

    Args:
        order: sample numbers in the order of the epoch, ``(n,)``.
        seed: of the run.
        epoch: number of the epoch, from 0.

    Returns:
        Sample number -> partner's number, ``(n,)``.
    """
    stream = np.random.Philox(key=[seed, epoch], counter=[0, 0, 0, 4])
    distance = np.random.Generator(stream).integers(1, max(2, len(order)))
    partners = np.empty_like(order)
    partners[order] = np.roll(order, -distance)
    return partners


def steps_left(num_examples: int, global_batch_size: int, sample: int = 0) -> int:
    """Steps to the end of the epoch; the last batch may be short.

    Args:
        num_examples: samples in an epoch.
        global_batch_size: samples in a batch over all ranks.
        sample: how many samples of the epoch were read already.
    """
    return -(-(num_examples - sample) // global_batch_size)  # rounded up


def shard_rows(order: np.ndarray, batch_size: int, shard_index: int, num_shards: int) -> np.ndarray:
    """One shard's part of every global batch.

    Global batches are consecutive pieces of ``order``. Shard ``i`` of ``n`` takes every ``n``-th sample of a global
    batch, beginning with its ``i``-th. So every shard has the same number of steps, a short last batch is spread
    evenly, and all shards together read the same samples for any ``num_shards`` with the same global batch.

    Args:
        order: sample numbers in the order of the epoch.
        batch_size: samples in a batch of one shard.
        shard_index: the shard, from 0.
        num_shards: number of shards.

    Returns:
        int64 ``(steps, batch_size)``; -1 where the last batch has no sample for this shard.
    """
    global_batch = batch_size * num_shards
    steps = steps_left(len(order), global_batch)
    padded = np.full(steps * global_batch, -1, np.int64)
    padded[: len(order)] = order
    return padded.reshape(steps, batch_size, num_shards)[:, :, shard_index]
