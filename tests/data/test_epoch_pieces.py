"""An epoch in pieces: the pieces together are the epoch, whose order only TensorFlow keeps."""

import gc
import itertools
import tracemalloc
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfdl.data import ArraySource, Position, training_batches
from tfdl.data.tokens.source import Frame, TokenSource
from tfdl.data.tokens.stream import TokenStream
from tfdl.data.tokens.table import TokenColumn
from tfdl.data.tokens.windows import StreamedWindows, Windows


class Drawn:
    """An augmentation that adds its arguments to the batch."""

    num_draws = 3

    def __init__(self, mixes):
        self.mixes = mixes

    def __call__(self, batch, draws, *partners):
        if not partners:
            return {**batch, "draws": draws}
        return {**batch, "draws": draws, "partner": partners[0]["number"], "partner_draws": partners[1]}


@settings(max_examples=25)
@given(
    num_examples=st.integers(1, 60),
    batch_size=st.integers(1, 5),
    num_shards=st.integers(1, 3),
    piece_size=st.integers(1, 30),
    skipped=st.integers(0, 59),
    augment=st.sampled_from([None, Drawn(False), Drawn(True)]),
)
def test_the_pieces_of_an_epoch_are_the_epoch(num_examples, batch_size, num_shards, piece_size, skipped, augment):
    source = ArraySource({"number": np.arange(num_examples)})
    start = Position(epoch=2, sample=min(skipped, num_examples - 1))
    steps = 2 * -(-num_examples // (batch_size * num_shards)) + 1
    for shard in range(num_shards):
        batches = training_batches(
            source, batch_size=batch_size, seed=3, start=start, shard_index=shard, num_shards=num_shards,
            augment=augment,
        )  # fmt: skip
        whole = list(itertools.islice(batches.as_numpy_iterator(), steps))
        with patch("tfdl.data.pipeline._PIECE_SIZE", piece_size):
            batches = training_batches(
                source, batch_size=batch_size, seed=3, start=start, shard_index=shard, num_shards=num_shards,
                augment=augment,
            )  # fmt: skip
        for expected, found in zip(whole, batches.as_numpy_iterator(), strict=False):
            assert expected.keys() == found.keys()
            for name, values in expected.items():
                np.testing.assert_array_equal(values, found[name])


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
def test_python_makes_an_order_and_keeps_none(name):
    source = SOURCES[name]()
    assert source.num_examples == 1_000_000
    tracemalloc.start()
    try:
        iterator = iter(training_batches(source, batch_size=16, seed=0))
        for _ in range(3):
            next(iterator)
        # A tensor may use the array's memory, if its address suits TensorFlow, until the iterator ends.
        del iterator
        gc.collect()
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    order_size = 8 * source.num_examples
    assert 0.9 * order_size < peak < 2.5 * order_size
    assert kept < 0.3 * order_size
