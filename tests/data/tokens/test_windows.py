"""A corpus in windows: every token is predicted once an epoch, shuffled or in streams, wherever a run resumes."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfdl.data import Position, evaluation_batches, training_batches
from tfdl.data.order import epoch_offset, shard_rows, stream_order
from tfdl.data.pipeline import WEIGHT
from tfdl.data.tokens.stream import TokenStream
from tfdl.data.tokens.table import TokenColumn
from tfdl.data.tokens.windows import BEGINS, StreamedWindows, Windows

PAD = 0
END = 2


def column(*lengths):
    """Texts whose tokens are 10, 11, 12 and so on, through all of them."""
    starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    return TokenColumn(np.arange(10, 10 + starts[-1]).astype(np.uint16), starts)


def stream(*lengths):
    return TokenStream(column(*lengths), END)


def targets(batch):
    """What the batch's rows predict: one list for each row that counts."""
    weights = batch.get(WEIGHT, np.ones(len(batch["count"])))
    rows = zip(batch["tokens"], batch["count"], weights, strict=True)
    return [tokens[1 : count + 1].tolist() for tokens, count, weight in rows if weight]


def take(batches, count=None):
    return list(itertools.islice(batches.as_numpy_iterator(), count))


def epoch_batches(windows, batch_size, shard=0, shards=1, *, seed=3, epoch=0, done=0, epoch_batch=0):
    """One shard's batches of an epoch, from a sample on, without the pipeline around them."""
    order = windows.epoch_order(seed, epoch, epoch_batch or batch_size * shards)
    rows = shard_rows(order[done:], batch_size, shard, shards)
    return [{name: np.asarray(value) for name, value in windows.read(row[row >= 0]).items()} for row in rows]


def flat(lists):
    return list(itertools.chain.from_iterable(lists))


# The stream


def test_a_stream_by_hand():
    texts = stream(3, 0, 2)
    assert texts.num_tokens == 8
    assert texts.read(np.arange(-1, 9)).tolist() == [END, 10, 11, 12, END, END, 13, 14, END, 10]
    assert texts.read(np.array([[0, 1], [7, 8]])).tolist() == [[10, 11], [END, 10]]


def test_texts_without_a_token():
    assert stream(0, 0).read(np.arange(4)).tolist() == [END] * 4


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12))
def test_a_stream_is_the_texts_with_their_ends(lengths):
    texts = column(*lengths)
    parts = [[*texts.tokens[a:b].tolist(), END] for a, b in itertools.pairwise(texts.starts)]
    found = TokenStream(texts, END)
    assert found.read(np.arange(found.num_tokens)).tolist() == flat(parts)


# Windows


def test_windows_by_hand():
    windows = Windows(stream(3, 2), 3, PAD)  # 10 11 12 END 13 14 END
    assert windows.num_examples == 3
    batch = windows.read([0, 1, 2])
    assert batch["tokens"].numpy().tolist() == [[END, 10, 11, 12], [12, END, 13, 14], [14, END, PAD, PAD]]
    assert batch["count"].numpy().tolist() == [3, 3, 1]
    from_token_5 = windows.read([0 + 3 * 5, 1 + 3 * 5, 2 + 3 * 5])  # 14 END 10 11 12 END 13
    assert from_token_5["tokens"].numpy().tolist() == [[13, 14, END, 10], [10, 11, 12, END], [END, 13, PAD, PAD]]


@pytest.mark.parametrize("kind", [Windows, StreamedWindows])
@settings(max_examples=40)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=6), st.integers(1, 9), st.integers(1, 7), st.integers(0, 99))
def test_an_epoch_predicts_every_token_once_after_the_one_before_it(kind, lengths, length, batch_size, seed):
    texts = stream(*lengths)
    windows = kind(texts, length, PAD)
    whole = sorted(texts.read(np.arange(texts.num_tokens)).tolist())
    before = set(itertools.pairwise(texts.read(np.arange(-1, texts.num_tokens)).tolist()))
    for epoch in (0, 1):
        batches = epoch_batches(windows, batch_size, seed=seed, epoch=epoch)
        assert sorted(flat(flat(map(targets, batches)))) == whole
        for batch in batches:
            for tokens, count in zip(batch["tokens"], batch["count"], strict=True):
                assert set(itertools.pairwise(tokens[: count + 1].tolist())) <= before
                assert (tokens[count + 1 :] == PAD).all()


@pytest.mark.parametrize("kind", [Windows, StreamedWindows])
def test_the_pipeline_reads_them(kind):
    windows = kind(stream(50, 7), 4, PAD)
    found = take(training_batches(windows, batch_size=4, seed=5, start=Position(1, 4)), 7)
    expected = [*epoch_batches(windows, 4, seed=5, epoch=1, done=4), *epoch_batches(windows, 4, seed=5, epoch=2)]
    for batch, other in zip(found, expected, strict=False):
        for name, value in other.items():
            np.testing.assert_array_equal(batch[name], value)


def test_windows_begin_elsewhere_in_every_epoch():
    windows = Windows(stream(1000), 10, PAD)
    batches = take(training_batches(windows, batch_size=101, seed=0), 6)
    cuts = [frozenset(row[0] % 10 for row in targets(batch) if row[0] != END) for batch in batches]
    assert len(set(cuts)) > 3
    orders = [[row[0] for row in targets(batch)] for batch in batches]
    assert all(order != sorted(order) for order in orders)


def test_the_offset_does_not_change_between_versions():
    """A run of an older version is resumed in the same windows."""
    assert [epoch_offset(1000, 0, epoch) for epoch in range(3)] == [997, 804, 538]
    assert len({epoch_offset(10**9, seed, epoch) for seed in range(3) for epoch in range(3)}) == 9


@pytest.mark.parametrize("kind", [Windows, StreamedWindows])
def test_evaluation_reads_the_split_in_order(kind):
    windows = kind(stream(10, 4), 4, PAD)
    found = flat(targets(batch) for batch in take(evaluation_batches(windows, batch_size=2)))
    assert found == [[10, 11, 12, 13], [14, 15, 16, 17], [18, 19, END, 20], [21, 22, 23, END]]


# Streams


def test_streams_by_hand():
    assert stream_order(7, 3).tolist() == [0, 3, 5, 1, 4, 6, 2]  # 0 1 2, 3 4, 5 6
    assert stream_order(6, 3).tolist() == [0, 2, 4, 1, 3, 5]
    assert stream_order(3, 5).tolist() == [0, 1, 2]


@given(st.integers(1, 300), st.integers(1, 40))
def test_rows_continue_where_they_ended(num_windows, rows):
    order = stream_order(num_windows, rows)
    assert sorted(order) == list(range(num_windows))
    if num_windows > rows:
        assert (order[rows:] == order[:-rows] + 1).all()
    lengths = [len(order[row::rows]) for row in range(min(rows, num_windows))]
    assert max(lengths) - min(lengths) <= 1


@settings(max_examples=40)
@given(st.integers(1, 60), st.integers(1, 5), st.integers(1, 3), st.integers(1, 3), st.data())
def test_every_row_of_every_shard_continues(tokens, length, batch_size, shards, data):
    """Also after a resume at any step. The batches are the same for any number of shards."""
    windows = StreamedWindows(stream(tokens), length, PAD)
    global_batch = batch_size * shards
    done = data.draw(st.integers(0, (windows.num_examples - 1) // global_batch))
    whole = epoch_batches(windows, global_batch)[done:]
    parts = [epoch_batches(windows, batch_size, shard, shards, done=done * global_batch) for shard in range(shards)]
    for step, batch in enumerate(whole):
        for shard, part in enumerate(parts):
            assert targets(part[step]) == targets(batch)[shard::shards]
        assert set(batch[BEGINS].tolist()) == {done + step == 0}
        if step:
            last = whole[step - 1]
            for row in range(len(batch["count"])):
                assert last["count"][row] == length
                assert last["tokens"][row, -1] == batch["tokens"][row, 0]


@settings(max_examples=40)
@given(st.integers(1, 80), st.integers(0, 40), st.integers(1, 6), st.integers(1, 6))
def test_a_resume_with_another_batch_size_within_an_epoch_loses_no_token(tokens, done, before, after):
    windows = StreamedWindows(stream(tokens), 3, PAD)
    done = min(done, (windows.num_examples - 1) // before)
    first = epoch_batches(windows, before)[:done]
    rest = epoch_batches(windows, after, done=done * before, epoch_batch=before)
    assert sorted(flat(flat(map(targets, [*first, *rest])))) == sorted([END, *range(10, 10 + tokens)])


@given(st.integers(1, 200_000), st.integers(1, 300))
@settings(max_examples=40)
def test_segments_of_an_evaluation_hold_every_window_once(tokens, length):
    windows = StreamedWindows(stream(tokens), length, PAD)
    groups = windows.segments()
    numbers = np.concatenate([table.reshape(-1) for table in groups])
    assert sorted(numbers[numbers >= 0].tolist()) == list(range(windows.num_examples))
    for table in groups:
        assert table.shape[1] <= 16
        is_window = table >= 0
        assert is_window[:-1].all()
        assert (np.diff(is_window[-1].astype(int)) <= 0).all()  # the last step has the first rows
        assert (np.diff(table, axis=0)[is_window[1:]] == 1).all()
    streams = sum(table.shape[1] for table in groups)
    assert streams == 1 or windows.num_examples // streams * length > 4096 - length
    assert streams <= 64
