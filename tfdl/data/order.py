"""Which samples each step sees: a function of seed, epoch and position alone, whatever the number of ranks."""

from dataclasses import dataclass

import numpy as np

from tfdl.data.augmentation import NUM_DRAWS


@dataclass(frozen=True)
class Position:
    """How far a run has read: whole epochs, then samples of the next one, counted over all ranks."""

    epoch: int = 0
    sample: int = 0


def epoch_order(num_examples: int, seed: int, epoch: int) -> np.ndarray:
    """A permutation of all samples, another one for each epoch."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(num_examples)


def epoch_draws(num_examples: int, seed: int, epoch: int) -> np.ndarray:
    """Uniform numbers for each sample's random changes in this epoch, float32 ``(num_examples, NUM_DRAWS)``."""
    # Another counter keeps these apart from the permutation's stream.
    stream = np.random.Philox(key=[seed, epoch], counter=[0, 0, 0, 1])
    return np.random.Generator(stream).random((num_examples, NUM_DRAWS), np.float32)


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
