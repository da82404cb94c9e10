"""An epoch in pieces: the pieces together are the epoch, and the order is in memory once."""

import tracemalloc
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfdl.data.order import Position, epoch_draws, epoch_order, epoch_partners, shard_rows
from tfdl.data.shard_epochs import ShardEpochs
from tfdl.data.sources import ShuffledSource
from tfdl.data.tokens.source import Frame, TokenSource
from tfdl.data.tokens.stream import TokenStream
from tfdl.data.tokens.table import TokenColumn
from tfdl.data.tokens.windows import StreamedWindows, Windows

SEED = 3


class Numbers(ShuffledSource):
    def __init__(self, num_examples):
        self.num_examples = num_examples


def joined(epochs, epoch):
    pieces = [epochs.columns(epoch, piece) for piece in range(epochs.num_pieces(epoch))]
    return [np.concatenate(columns) for columns in zip(*pieces, strict=True)]


@given(
    num_examples=st.integers(1, 60),
    batch_size=st.integers(1, 5),
    num_shards=st.integers(1, 3),
    piece_size=st.integers(1, 20),
    skipped=st.integers(0, 59),
    data=st.data(),
)
def test_the_pieces_of_an_epoch_are_the_epoch(num_examples, batch_size, num_shards, piece_size, skipped, data):
    shard = data.draw(st.integers(0, num_shards - 1))
    start = Position(epoch=2, sample=min(skipped, num_examples - 1))
    with patch("tfdl.data.shard_epochs._PIECE_SIZE", piece_size):
        plain = ShardEpochs(Numbers(num_examples), batch_size, SEED, start, shard, num_shards, None, False)
        mixed = ShardEpochs(Numbers(num_examples), batch_size, SEED, start, shard, num_shards, 4, True)
    for epoch in (2, 3, 2):
        order = epoch_order(num_examples, SEED, epoch)
        remaining = order[start.sample :] if epoch == 2 else order
        expected = shard_rows(remaining, batch_size, shard, num_shards)
        (rows,) = joined(plain, epoch)
        np.testing.assert_array_equal(rows, expected)
        rows, draws, partners, partner_draws = joined(mixed, epoch)
        np.testing.assert_array_equal(rows, expected)
        all_draws = epoch_draws(num_examples, SEED, epoch, 4)
        np.testing.assert_array_equal(draws, all_draws[rows])
        np.testing.assert_array_equal(partners, epoch_partners(order, SEED, epoch)[rows])
        np.testing.assert_array_equal(partner_draws, all_draws[partners])


def stream(num_texts, length):
    tokens = np.zeros(num_texts * length, np.uint8)
    return TokenStream(TokenColumn(tokens, np.arange(num_texts + 1) * length), 1)


SOURCES = {
    "windows": lambda: Windows(stream(50_000, 199), 10, 0),
    "streamed windows": lambda: StreamedWindows(stream(50_000, 199), 10, 0),
    "texts": lambda: TokenSource(
        {"text": TokenColumn(np.zeros(1, np.uint8), np.zeros(1_000_001, np.int64))}, {"text": Frame(9)}, 1
    ),
}


@pytest.mark.parametrize("name", SOURCES)
def test_an_order_takes_at_most_twice_its_memory_while_it_is_made(name):
    source = SOURCES[name]()
    assert source.num_examples == 1_000_000
    epochs = ShardEpochs(source, 16, SEED, Position(), 0, 1, None, False)
    tracemalloc.start()
    try:
        epochs.num_pieces(0)
        for piece in range(3):
            epochs.columns(0, piece)
        _, peak = tracemalloc.get_traced_memory()
        held, _ = tracemalloc.get_traced_memory()
        whole = source.epoch_order(SEED, 1, 16)  # control: its memory is traced
        more, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    order_size = 8 * len(whole)
    assert peak < 2.5 * order_size
    assert held < 1.5 * order_size
    assert more - held > 0.9 * order_size
