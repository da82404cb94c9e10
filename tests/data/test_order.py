"""The order of samples is a function of seed, epoch and position, whatever the number of shards."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tfdl.data.order import epoch_draws, epoch_order, epoch_partners, shard_rows, steps_left

sizes = st.integers(1, 200)
seeds = st.integers(0, 2**32 - 1)
epochs = st.integers(0, 10_000)


@given(sizes, seeds, epochs)
def test_an_epoch_has_each_sample_once(size, seed, epoch):
    order = epoch_order(size, seed, epoch)
    assert sorted(order) == list(range(size))
    np.testing.assert_array_equal(order, epoch_order(size, seed, epoch))


@given(seeds, epochs, st.integers(1, 100))
def test_epochs_and_seeds_differ(seed, epoch, distance):
    order = epoch_order(100, seed, epoch)
    assert not np.array_equal(order, epoch_order(100, seed, epoch + distance))
    assert not np.array_equal(order, epoch_order(100, (seed + distance) % 2**32, epoch))
    assert not np.array_equal(order, np.arange(100))


def test_the_order_does_not_change_between_versions():
    """A run of an older version is resumed in the same order. NumPy keeps Philox's stream."""
    assert epoch_order(10, 0, 0).tolist() == [0, 7, 8, 6, 9, 5, 1, 3, 2, 4]
    np.testing.assert_allclose(epoch_draws(1, 0, 0, 4)[0], [0.72253549, 0.34218276, 0.13493633, 0.57651442], rtol=1e-6)


@given(seeds, epochs)
def test_draws_are_uniform_and_differ_between_epochs(seed, epoch):
    draws = epoch_draws(500, seed, epoch, 4)
    assert draws.shape == (500, 4)
    assert draws.dtype == np.float32
    assert (draws >= 0).all()
    assert (draws < 1).all()
    assert 0.4 < draws.mean() < 0.6
    assert not np.array_equal(draws, epoch_draws(500, seed, epoch + 1, 4))


@given(sizes, seeds, epochs)
def test_every_sample_is_the_partner_of_exactly_one_other(size, seed, epoch):
    partners = epoch_partners(epoch_order(size, seed, epoch), seed, epoch)
    assert sorted(partners) == list(range(size))
    assert size == 1 or (partners != np.arange(size)).all()


@given(sizes, st.integers(1, 5), seeds)
def test_shards_join_to_the_same_global_batches(size, share, seed):
    order = epoch_order(size, seed, 0)
    global_batch = 12 * share
    expected = [order[begin : begin + global_batch].tolist() for begin in range(0, size, global_batch)]
    for shards in (1, 2, 3, 4):
        rows = [shard_rows(order, global_batch // shards, shard, shards) for shard in range(shards)]
        assert {part.shape for part in rows} == {(len(expected), global_batch // shards)}  # equal step counts
        for step, batch in enumerate(expected):
            of_all_shards = np.concatenate([part[step] for part in rows])
            assert sorted(of_all_shards[of_all_shards >= 0]) == sorted(batch)


@given(sizes, st.integers(1, 8), st.integers(1, 4))
def test_a_short_last_batch_is_spread_evenly(size, batch_size, shards):
    order = np.arange(size)
    last_rows = [shard_rows(order, batch_size, shard, shards)[-1] for shard in range(shards)]
    counts = [(row >= 0).sum() for row in last_rows]
    assert sum(counts) == (size - 1) % (batch_size * shards) + 1
    assert max(counts) - min(counts) <= 1


@given(sizes, st.integers(1, 8), st.integers(1, 4), st.data())
def test_a_resumed_epoch_continues_exactly(size, batch_size, shards, data):
    order = epoch_order(size, 1, 2)
    global_batch = batch_size * shards
    steps = steps_left(size, global_batch)
    done = data.draw(st.integers(0, steps - 1))
    for shard in range(shards):
        whole = shard_rows(order, batch_size, shard, shards)
        np.testing.assert_array_equal(shard_rows(order[done * global_batch :], batch_size, shard, shards), whole[done:])
    assert steps_left(size, global_batch, done * global_batch) == steps - done


def test_steps_by_hand():
    assert [steps_left(10, 4), steps_left(12, 4), steps_left(10, 4, 8), steps_left(10, 4, 10)] == [3, 3, 1, 0]


def test_rows_by_hand():
    order = np.array([5, 3, 1, 0, 2, 4, 6])
    assert shard_rows(order, 2, 0, 2).tolist() == [[5, 1], [2, 6]]
    assert shard_rows(order, 2, 1, 2).tolist() == [[3, 0], [4, -1]]
