"""The numbers of the samples that one shard reads, epoch after epoch."""

from dataclasses import dataclass

import numpy as np

from tfdl.data.order import Position, epoch_draws, epoch_partners, shard_rows, steps_left
from tfdl.data.sources import Source

# Sample numbers of a shard in a piece of an epoch.
_PIECE_SIZE = 2**16


class ShardEpochs:
    """Epochs in pieces of many steps. Only the order of one epoch is in memory as a whole, and only once.

    Args:
        source: the split.
        batch_size: samples in a batch of this shard.
        seed: decides the order.
        start: where to begin; the samples before it are left out.
        shard_index: this shard, from 0.
        num_shards: the number of shards.
        num_draws: uniform numbers for each sample; ``None`` if samples are not changed.
        mixes: whether each sample has a partner.
    """

    def __init__(
        self,
        source: Source,
        batch_size: int,
        seed: int,
        start: Position,
        shard_index: int,
        num_shards: int,
        num_draws: int | None,
        mixes: bool,
    ):
        self._source = source
        self._batch_size = batch_size
        self._seed = seed
        self._start = start
        self._shard_index = shard_index
        self._num_shards = num_shards
        self._num_draws = num_draws
        self._mixes = mixes
        self._steps = max(1, _PIECE_SIZE // batch_size)
        self._current: _Epoch | None = None

    def num_pieces(self, epoch: int) -> np.ndarray:
        """The number of pieces of an epoch, int64.

        Args:
            epoch: its number, from 0.
        """
        steps = steps_left(len(self._epoch(int(epoch)).order), self._batch_size * self._num_shards)
        return np.array(-(-steps // self._steps), np.int64)  # rounded up

    def columns(self, epoch: int, piece: int) -> tuple[np.ndarray, ...]:
        """This shard's part of a piece.

        Args:
            epoch: number of the epoch, from 0.
            piece: number of the piece in it, from 0.

        Returns:
            Sample numbers, int64 ``(steps, batch_size)``, with -1 where the last batch has no sample. With draws also
            those of each sample; with partners also the partners' numbers and draws.
        """
        whole = self._epoch(int(epoch))
        size = self._steps * self._batch_size * self._num_shards
        begin = int(piece) * size
        rows = shard_rows(whole.order[begin : begin + size], self._batch_size, self._shard_index, self._num_shards)
        if whole.draws is None:
            return (rows,)
        if whole.partners is None:
            return rows, whole.draws[rows]
        partners = whole.partners[rows]
        return rows, whole.draws[rows], partners, whole.draws[partners]

    def _epoch(self, number: int) -> "_Epoch":
        epoch = self._current
        if epoch is None or epoch.number != number:
            epoch = self._current = None  # free the last one before the next one is made
            epoch = self._current = self._new_epoch(number)
        return epoch

    def _new_epoch(self, number: int) -> "_Epoch":
        is_first = number == self._start.epoch
        # An epoch keeps the order that it began with, even if the run resumes with another global batch size.
        global_batch = self._batch_size * self._num_shards
        if is_first and self._start.epoch_batch:
            global_batch = self._start.epoch_batch
        order = self._source.epoch_order(self._seed, number, global_batch)
        partners = epoch_partners(order, self._seed, number) if self._mixes else None
        draws = None
        if self._num_draws is not None:
            draws = epoch_draws(self._source.num_examples, self._seed, number, self._num_draws)
        return _Epoch(number, order[self._start.sample :] if is_first else order, draws, partners)


@dataclass(frozen=True)
class _Epoch:
    """An epoch of all shards."""

    number: int
    order: np.ndarray
    """The numbers of the samples to read."""
    draws: np.ndarray | None
    """Sample number -> its draws."""
    partners: np.ndarray | None
    """Sample number -> its partner's number."""
