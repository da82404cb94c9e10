"""Which samples each step sees: a function of seed, epoch and position alone, whatever the number of ranks."""

from dataclasses import dataclass

import numpy as np

# Global batches that are sorted by length together: enough to find samples alike, too few to order the epoch.
_SORTED_BATCHES = 50


@dataclass(frozen=True)
class Position:
    """How far a run has read: whole epochs, then samples of the next one, counted over all ranks."""

    epoch: int = 0
    sample: int = 0
    epoch_batch: int = 0
    """Global batch size that the order of that epoch was made for; 0 is the one that is read with."""


def epoch_order(num_examples: int, seed: int, epoch: int) -> np.ndarray:
    """A permutation of all samples, another one for each epoch."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(num_examples)


def order_by_length(lengths: np.ndarray, seed: int, epoch: int, global_batch: int) -> np.ndarray:
    """A permutation in which the samples of one global batch are about equally long, so that little is padded.

    The epoch's random order is cut into pieces of ``_SORTED_BATCHES`` global batches, each is sorted by length, and
    whole batches are shuffled again: batches are as random as before, and their samples nearly so. A last batch that is
    not full stays the last.

    Args:
        lengths: tokens of each sample.
        seed, epoch: decide the order.
        global_batch: samples in a global batch.
    """
    order = epoch_order(len(lengths), seed, epoch)
    piece = global_batch * _SORTED_BATCHES
    for begin in range(0, len(order), piece):
        part = order[begin : begin + piece]
        order[begin : begin + piece] = part[np.argsort(lengths[part], kind="stable")]
    num_full_batches = len(order) // global_batch
    full = num_full_batches * global_batch
    stream = np.random.Philox(key=[seed, epoch], counter=[0, 0, 0, 2])
    shuffled = np.random.Generator(stream).permutation(num_full_batches)
    full_batches = order[:full].reshape(num_full_batches, global_batch)
    return np.concatenate([full_batches[shuffled].reshape(-1), order[full:]])


def stream_order(num_windows: int, rows: int) -> np.ndarray:
    """Windows in ``rows`` streams: place ``t * rows + r`` has the window that row ``r`` reads at step ``t``, by number.

    The streams are consecutive pieces of the whole, and the first ones are longer by a window where they do not come
    out even; so the last step, which has their windows alone, keeps the rows.
    """
    least, longer = divmod(num_windows, rows)
    lengths = least + (np.arange(rows) < longer)
    steps = np.arange(least + (longer > 0))
    table = (np.cumsum(lengths) - lengths) + steps[:, np.newaxis]  # (steps, rows)
    return table.reshape(-1)[:num_windows]


def epoch_offset(num_tokens: int, seed: int, epoch: int) -> int:
    """By how many tokens a stream is turned in this epoch, from 0 to ``num_tokens - 1``."""
    stream = np.random.Philox(key=[seed, epoch], counter=[0, 0, 0, 3])
    return int(np.random.Generator(stream).integers(num_tokens))


def epoch_draws(num_examples: int, seed: int, epoch: int, num_draws: int) -> np.ndarray:
    """Uniform numbers for each sample's random changes in this epoch, float32 ``(num_examples, num_draws)``."""
    # Another counter keeps these apart from the permutation's stream.
    stream = np.random.Philox(key=[seed, epoch], counter=[0, 0, 0, 1])
    return np.random.Generator(stream).random((num_examples, num_draws), np.float32)


def epoch_partners(order: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """For each sample the one that it is mixed with: that which comes so many places after it in the epoch.

    Every sample is another one's partner once. The partner depends on the order of the whole epoch, not on the batch or
    the rank that a sample is in; alone, a sample is its own.
    """
    stream = np.random.Philox(key=[seed, epoch], counter=[0, 0, 0, 4])
    distance = np.random.Generator(stream).integers(1, max(2, len(order)))
    partners = np.empty_like(order)
    partners[order] = np.roll(order, -distance)
    return partners


def steps_left(num_examples: int, global_batch_size: int, sample: int = 0) -> int:
    """Steps from ``sample`` to the end of the epoch; the last batch may be short."""
    return -(-(num_examples - sample) // global_batch_size)


def shard_rows(order: np.ndarray, batch_size: int, shard_index: int, num_shards: int) -> np.ndarray:
    """One shard's part of every global batch.

    The global batches are consecutive pieces of ``order``; shard ``i`` of ``n`` takes every ``n``-th sample from the
    ``i``-th. So every shard has the same number of steps, a short last batch is spread evenly, and the union over
    shards is the same for any ``num_shards`` with the same global batch.

    Returns:
        int64 ``(steps, batch_size)``; -1 stands where the last batch has no sample for this shard.
    """
    global_batch = batch_size * num_shards
    steps = steps_left(len(order), global_batch)
    padded = np.full(steps * global_batch, -1, np.int64)
    padded[: len(order)] = order
    return padded.reshape(steps, batch_size, num_shards)[:, :, shard_index]
