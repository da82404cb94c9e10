"""Batches without end: epoch after epoch, from any position, over any number of shards."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfdl.data import ArraySource, Position, evaluation_batches, training_batches
from tfdl.data.augmentation import Augmentation
from tfdl.data.order import epoch_draws, epoch_order, epoch_partners
from tfdl.data.pipeline import WEIGHT


def numbered(size):
    return ArraySource({"number": np.arange(size)})


def take(batches, count):
    return list(itertools.islice(batches.as_numpy_iterator(), count))


def numbers(batches, count):
    """The samples with a weight; a shard without a sample reads one of weight 0."""
    of_batches = []
    for batch in take(batches, count):
        weights = batch.get(WEIGHT, np.ones(len(batch["number"])))
        of_batches.append(batch["number"][weights > 0].tolist())
    return of_batches


def test_one_iterator_serves_many_epochs():
    stream = training_batches(numbered(10), batch_size=4, seed=7)
    found = numbers(stream, 90)
    for epoch in range(30):
        expected = epoch_order(10, 7, epoch).tolist()
        assert found[3 * epoch : 3 * epoch + 3] == [expected[:4], expected[4:8], expected[8:]]
    epochs = [list(itertools.chain(*found[begin : begin + 3])) for begin in range(0, 90, 3)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len(set(map(tuple, epochs))) == 30


def test_two_iterators_and_two_streams_agree():
    stream = training_batches(numbered(10), batch_size=4, seed=7)
    assert numbers(stream, 9) == numbers(stream, 9)
    assert numbers(stream, 9) == numbers(training_batches(numbered(10), batch_size=4, seed=7), 9)
    assert numbers(stream, 9) != numbers(training_batches(numbered(10), batch_size=4, seed=8), 9)


class Draws:
    """An augmentation that adds its arguments to the batch."""

    num_draws = 4
    mixes = False

    def __call__(self, batch, draws, *partners):
        shown = {**batch, "draws": draws}
        if partners:
            partner_batch, partner_draws = partners
            shown["other"] = partner_batch["number"]
            shown["other_draws"] = partner_draws
        return shown


@settings(max_examples=15)
@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 3), st.integers(0, 30))
def test_a_resumed_run_continues_with_samples_and_draws(size, batch_size, shards, done):
    def stream(shard, start):
        return training_batches(
            numbered(size),
            batch_size=batch_size,
            seed=5,
            start=start,
            shard_index=shard,
            num_shards=shards,
            augment=Draws(),
        )

    steps = -(-size // (batch_size * shards))
    position = Position(done // steps, done % steps * batch_size * shards)
    for shard in range(shards):
        uninterrupted = take(stream(shard, Position()), done + 5)[done:]
        for expected, found in zip(uninterrupted, take(stream(shard, position), 5), strict=True):
            np.testing.assert_array_equal(found["number"], expected["number"])
            np.testing.assert_array_equal(found["draws"], expected["draws"])


@settings(max_examples=10)
@given(st.integers(1, 40), st.integers(1, 3))
def test_all_shards_together_read_the_batches_of_one_shard(size, share):
    steps = 2 * -(-size // (6 * share)) + 1  # two epochs and a step
    whole = numbers(training_batches(numbered(size), batch_size=6 * share, seed=1), steps)
    for shards in (2, 3):
        parts = []
        for shard in range(shards):
            batches = training_batches(
                numbered(size), batch_size=6 * share // shards, seed=1, shard_index=shard, num_shards=shards
            )
            parts.append(numbers(batches, steps))
        for step, batch in enumerate(whole):
            assert sorted(itertools.chain(*(part[step] for part in parts))) == sorted(batch)


def test_draws_belong_to_the_sample_on_any_shard():
    """The draws of sample k are row k of the epoch's draws, on any shard and in any batch."""
    draws = epoch_draws(10, 3, 0, 4)
    for shards in (1, 2):
        for shard in range(shards):
            stream = training_batches(
                numbered(10),
                batch_size=4 // shards,
                seed=3,
                shard_index=shard,
                num_shards=shards,
                augment=Draws(),
            )
            for batch in take(stream, 3):
                np.testing.assert_array_equal(batch["draws"], draws[batch["number"]])


class Mixed(Draws):
    mixes = True


def test_partners_and_their_draws_belong_to_the_sample_on_any_shard():
    """Partners are chosen in the order of the whole epoch, so a resumed epoch has the same ones."""
    draws = epoch_draws(10, 3, 0, 4)
    partners = epoch_partners(epoch_order(10, 3, 0), 3, 0)
    for shards, sample in ((1, 0), (2, 0), (1, 4)):
        for shard in range(shards):
            stream = training_batches(
                numbered(10),
                batch_size=4 // shards,
                seed=3,
                start=Position(0, sample),
                shard_index=shard,
                num_shards=shards,
                augment=Mixed(),
            )
            for batch in take(stream, 2):
                np.testing.assert_array_equal(batch["other"], partners[batch["number"]])
                np.testing.assert_array_equal(batch["draws"], draws[batch["number"]])
                np.testing.assert_array_equal(batch["other_draws"], draws[batch["other"]])


def test_a_shard_without_a_sample_gets_one_of_weight_0():
    streams = [training_batches(numbered(5), batch_size=2, seed=0, shard_index=shard, num_shards=2) for shard in (0, 1)]
    weights = [[batch[WEIGHT].tolist() for batch in stream.take(2).as_numpy_iterator()] for stream in streams]
    assert weights == [[[1.0, 1.0], [1.0]], [[1.0, 1.0], [0.0]]]


def test_augmented_images_after_a_resume(digits):
    augment = Augmentation(["affine", "flip"])
    source = digits.sources["train"]
    whole = training_batches(source, batch_size=512, seed=0, augment=augment)  # 3 steps an epoch
    resumed = training_batches(source, batch_size=512, seed=0, augment=augment, start=Position(1, 512))
    for expected, found in zip(take(whole, 8)[4:], take(resumed, 4), strict=True):
        np.testing.assert_array_equal(found["image"], expected["image"])
        np.testing.assert_array_equal(found["label"], expected["label"])


def test_batches_have_a_known_shape(digits):
    spec = training_batches(digits.sources["train"], batch_size=8, seed=0).element_spec
    assert spec["image"] == tf.TensorSpec((None, 8, 8, 1), tf.uint8)
    assert spec["label"] == tf.TensorSpec((None,), tf.int32)


@pytest.mark.parametrize("shards", [1, 2, 3, 4, 7])
def test_evaluation_reads_each_sample_once_over_all_shards(shards):
    whole = numbers(evaluation_batches(numbered(23), batch_size=4), None)
    assert list(itertools.chain(*whole)) == list(range(23))
    for shard in range(shards):
        stream = evaluation_batches(numbered(23), batch_size=4, shard_index=shard, num_shards=shards)
        assert numbers(stream, None) == whole[shard::shards]
