"""At most so many samples of a split."""

import numpy as np
import pytest

import tfdl
from tfdl.data import training_batches
from tfdl.data.limited import SpreadSamples, limited, limited_splits
from tfdl.data.sources import ArraySource
from tfdl.data.tokens.source import Frame, TokenSource
from tfdl.data.tokens.stream import TokenStream
from tfdl.data.tokens.table import TokenColumn
from tfdl.data.tokens.windows import StreamedWindows, Windows

COUNT = 20


def numbers():
    return ArraySource({"x": np.arange(COUNT, dtype=np.float32)})


def read_epochs(source, batch_size, epochs):
    """The samples of each epoch, in the order of reading."""
    steps = -(-source.num_examples // batch_size)
    batches = list(training_batches(source, batch_size=batch_size, seed=3).take(epochs * steps).as_numpy_iterator())
    return [np.concatenate([batch["x"] for batch in batches[e * steps : (e + 1) * steps]]) for e in range(epochs)]


@pytest.mark.parametrize(("most", "expected"), [(4, [0, 5, 10, 15]), (1, [0]), (7, [0, 2, 5, 8, 11, 14, 17])])
def test_samples_are_spread_over_the_split(most, expected):
    source = limited(numbers(), most)
    first, second = read_epochs(source, 2, 2)
    assert sorted(first) == sorted(second) == expected
    pieces = source.evaluation_pieces(3, None)
    assert np.concatenate([source.read(piece)["x"] for piece in pieces]).tolist() == expected
    assert source.values("x").tolist() == expected
    assert source.signature["x"].dtype == np.float32


def test_the_order_is_that_of_the_source():
    """Also of a source that can be read in its own order alone."""

    class InOrder(ArraySource):
        def epoch_order(self, seed, epoch, global_batch):  # noqa: ARG002
            return np.arange(self.num_examples)

    assert read_epochs(limited(InOrder({"x": np.arange(COUNT)}), 5), 2, 1)[0].tolist() == [0, 4, 8, 12, 16]
    shuffled = numbers().epoch_order(3, 0, 2)
    own = limited(numbers(), 10)
    assert [2 * number for number in own.epoch_order(3, 0, 2)] == [number for number in shuffled if number % 2 == 0]


def test_a_split_that_is_small_enough_is_left_alone():
    source = numbers()
    assert limited(source, COUNT) is source
    splits = {"train": source, "validation": source, "test": source}
    found = limited_splits(splits, {"train": 5, "validation": 3, "test": 3})
    assert found["train"].num_examples == 5
    assert found["validation"] is found["test"]
    assert limited_splits(splits, {"train": None})["test"] is source


def tokens_of(lengths):
    column = TokenColumn(
        np.arange(sum(lengths)).astype(np.uint8), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    )
    return TokenSource({"text": column, "label": np.arange(len(lengths))}, {"text": Frame(longest=9)}, 10)


def test_texts_keep_their_numbers():
    source = limited(tokens_of([3, 1, 4, 2, 5, 2, 6, 1]), 4)
    assert source.num_examples == 4
    assert sorted(source.epoch_order(0, 0, 2)) == [0, 2, 4, 6]
    batches = list(training_batches(source, batch_size=2, seed=0).take(2).as_numpy_iterator())
    assert sorted(np.concatenate([batch["label"] for batch in batches])) == [0, 2, 4, 6]
    assert sorted(np.concatenate(source.evaluation_pieces(3))) == [0, 2, 4, 6]
    assert source.spread(2).samples.tolist() == [0, 4]
    assert not isinstance(source, SpreadSamples)


@pytest.mark.parametrize("kind", [Windows, StreamedWindows])
def test_the_first_windows(kind):
    stream = TokenStream(TokenColumn(np.arange(40).astype(np.uint8), np.array([0, 40])), 99)
    whole = kind(stream, 4, 0)
    source = limited(whole, 3)
    assert source.num_examples == 3
    read = source.read(np.arange(3))["tokens"].numpy()
    np.testing.assert_array_equal(read[:, 1:], np.arange(12).reshape(3, 4))
    windows = next(iter(training_batches(source, batch_size=3, seed=0).as_numpy_iterator()))["tokens"]
    assert windows.max() <= 11  # in a later epoch they begin elsewhere, and stay within the first tokens


def test_a_run_and_its_evaluation_use_the_same_samples(tiny, tmp_path):
    limits = {"limit_train_samples": 100, "limit_validation_samples": 30, "limit_test_samples": 40}
    plans = []

    class Watch(tfdl.training.Callback):
        def on_start(self, plan):
            plans.append(plan)

    run = tfdl.train(tiny({**limits, "batch_size": 20}, epochs=1), tmp_path / "run", callbacks=[Watch()])
    assert plans[0].samples == "100 training samples, 30 for validation, 40 for the test"
    assert run.read_summary()["steps"] == 5
    for split in ("validation", "test"):
        assert tfdl.evaluate(run, split=split)["accuracy"] == run.read_summary()[split]["accuracy"]
