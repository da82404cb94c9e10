"""A recurrent language model carries its state from step to step, over pieces, ranks and restarts."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.data import Position, training_batches
from tfdl.data.pipeline import WEIGHT
from tfdl.data.tokenizers import CharacterTokenizer
from tfdl.data.tokens.stream import TokenStream
from tfdl.data.tokens.table import TokenColumn
from tfdl.data.tokens.windows import StreamedWindows
from tfdl.distributed import SingleWorld
from tfdl.models import compute_precision
from tfdl.tasks import LanguageModeling
from tfdl.training import Trainer
from tfdl.training.carried_state import RecurrentState

LENGTH = 3
ROWS = 4
TASK = LanguageModeling(CharacterTokenizer("abcdefgh"), LENGTH, carries_state=True)
TOKENS = np.random.default_rng(0).integers(4, 12, 64).astype(np.uint8)  # and an end: 22 windows of 3, the last of two
SOURCE = StreamedWindows(TokenStream(TokenColumn(TOKENS, np.array([0, 64])), 2), LENGTH, 0)
STEPS = 6  # five of four rows, one of two


def build(precision="float64", **fields):
    keras.utils.set_random_seed(0)
    with compute_precision(precision):
        return tfdl.build_model("rnn", units=5, num_layers=2, **fields, **TASK.model_arguments)


def trainer_of(model, world=None, pieces=1, rows=ROWS, rate=0.5, **options):
    optimizer = tfdl.build_optimizer("sgd", learning_rate=rate, momentum=0.0)
    carried = RecurrentState(model, rows, world or SingleWorld())
    return Trainer(
        model, optimizer, TASK, world or SingleWorld(), accumulation_steps=pieces, carried=carried, **options
    )


def batches(start=Position(), rank=0, size=1, rows=ROWS):  # noqa: B008
    stream = training_batches(
        SOURCE, batch_size=rows, seed=1, start=start, shard_index=rank, num_shards=size, augment=None
    )
    return iter(stream)


def streams(epoch):
    """The whole inputs and targets of the epoch's four rows: a list of pairs of token arrays."""
    numbers = SOURCE.epoch_order(1, epoch, ROWS)
    joined = []
    for row_number in range(ROWS):
        row = SOURCE.read(numbers[row_number::ROWS])
        counts = row["count"].numpy()
        windows = [tokens[: count + 1] for tokens, count in zip(row["tokens"].numpy(), counts, strict=True)]
        inputs = np.concatenate([window[:-1] for window in windows])
        targets = np.concatenate([window[1:] for window in windows])
        joined.append((inputs, targets))
    return joined


def loss_of_long_passes(model, epoch):
    """The sum of the losses, with each row read at once from its beginning to its end."""
    total = 0.0
    for inputs, targets in streams(epoch):
        logits = np.asarray(model(inputs[np.newaxis]))[0]
        shifted = logits - logits.max(1, keepdims=True)
        losses = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(targets)), targets]
        total += losses.sum()
    return total


@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_windows_with_the_state_carried_are_one_long_pass(pieces):
    """With a learning rate that changes nothing; two epochs, each of which begins with zeros."""
    model = build()
    trainer = trainer_of(model, pieces=pieces, rate=1e-30)
    iterator = batches()
    for epoch in range(2):
        trainer.run(iterator, STEPS)
        total, _, weight = trainer.take_sums()
        assert weight == 65
        assert total == pytest.approx(loss_of_long_passes(model, epoch), rel=1e-12)


def test_the_state_matters():
    """The control: without the state, the loss differs."""
    model = build()
    trainer = Trainer(model, tfdl.build_optimizer("sgd", learning_rate=1e-30), TASK, SingleWorld())
    trainer.run(batches(), STEPS)
    assert trainer.take_sums()[0] != pytest.approx(loss_of_long_passes(model, 0), rel=1e-5)


def test_a_step_is_plain_with_state():
    """Three steps against the same written out: the state is carried, and gradients end at a window's start."""
    ours = build()
    theirs = build()
    trainer_of(ours).run(batches(), 3)
    state = theirs.initial_state(ROWS)
    iterator = batches()
    for _ in range(3):
        batch = next(iterator)
        inputs = batch["tokens"][:, :-1]
        targets = batch["tokens"][:, 1:]
        with tf.GradientTape() as tape:
            logits, state = theirs.with_state(inputs, state, training=True)
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(targets, logits, from_logits=True))
        gradients = tape.gradient(loss, theirs.trainable_variables)
        for variable, gradient in zip(theirs.trainable_variables, gradients, strict=True):
            variable.assign_sub(0.5 * tf.convert_to_tensor(gradient))
    for mine, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-10, atol=1e-13, err_msg=mine.path)


@pytest.mark.parametrize(("pieces", "xla"), [(2, False), (3, False), (4, False), (1, True), (2, True)])
def test_pieces_and_xla_step_as_the_whole_batch(pieces, xla):
    """Two epochs: the last batch of each has two rows, for which three and four pieces need stand-ins."""
    whole = build()
    other = build()
    trainer_of(whole).run(batches(), 2 * STEPS)
    trainer = trainer_of(other, pieces=pieces)
    trainer.xla = xla
    trainer.run(batches(), 2 * STEPS)
    for mine, expected in zip(other.weights, whole.weights, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-9, atol=1e-12, err_msg=mine.path)


@pytest.mark.parametrize("done", [1, 5, 6, 8])
def test_a_gathered_state_is_restored_exactly(done):
    straight = build()
    trainer_of(straight).run(batches(), 10)
    model = build()
    first = trainer_of(model)
    first.run(batches(), done)
    position = Position(done // STEPS, done % STEPS * ROWS, ROWS if done % STEPS else 0)
    rows = first.carried.gathered() if position.sample else None
    second = trainer_of(model)
    assert second.carried.restore(rows, position.sample, position.epoch_batch)
    second.run(batches(position), 10 - done)
    for mine, expected in zip(model.weights, straight.weights, strict=True):
        np.testing.assert_array_equal(mine, expected, err_msg=mine.path)


def test_with_another_batch_windows_begin_at_zero_until_the_epoch_ends():
    model = build()
    first = trainer_of(model, rate=1e-30)
    first.run(batches(), 2)
    kept = first.carried.gathered()
    assert {name: value.shape for name, value in kept.items()} == {f"state_{number}": (4, 5) for number in range(4)}
    first.take_sums()
    trainer = trainer_of(model, rows=2, rate=1e-30)
    assert not trainer.carried.restore(kept, 8, ROWS)
    iterator = batches(Position(0, 8, ROWS), rows=2)
    trainer.run(iterator, 7)  # 14 windows
    assert trainer.carried.gathered() is None
    alone = Trainer(model, tfdl.build_optimizer("sgd", learning_rate=1e-30), TASK, SingleWorld())
    alone.run(batches(Position(0, 8, ROWS), rows=2), 7)
    np.testing.assert_allclose(trainer.take_sums(), alone.take_sums(), rtol=1e-12)
    trainer.run(iterator, 1)
    assert trainer.carried.gathered() is not None


def test_a_step_that_is_not_made_leaves_the_state():
    """The third batch has a weight that is NaN; training then continues as if it had not been there."""
    found = []
    for is_faulty in (True, False):
        model = build()
        trainer = trainer_of(model)
        stream = training_batches(SOURCE, batch_size=ROWS, seed=1).take(3)
        faulty = stream.skip(2).map(lambda batch: {**batch, WEIGHT: batch[WEIGHT] * np.float32("nan")})
        data = stream.take(2).concatenate(faulty) if is_faulty else stream.take(2)
        assert trainer.run(iter(data), 3 if is_faulty else 2) == 2
        trainer.run(iter(stream.skip(2)), 1)
        found.append([*trainer.carried.gathered().values(), *map(np.array, model.weights)])
    for mine, other in zip(*found, strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.fixture
def eagerly():
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("size", [2, 4])
def test_ranks_carry_the_state_of_one_process(ranks, size):
    """Weights after two epochs; what the ranks gather is what one process carries."""
    alone = build()
    one = trainer_of(alone)
    one.run(batches(), 2 * STEPS - 2)
    expected = one.carried.gathered()
    world = ranks(size)
    models = [build() for _ in range(size)]
    trainers = [trainer_of(model, world, rows=ROWS // size) for model in models]

    def run(rank):
        trainers[rank].run(batches(rank=rank, size=size, rows=ROWS // size), 2 * STEPS - 2)
        return trainers[rank].carried.gathered()

    for found in world.run(run):
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-12)
    for model in models:
        for mine, other in zip(model.weights, alone.weights, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-12, err_msg=mine.path)
    # When the gathered rows are restored, each rank gets its own rows.
    before = [[value.numpy() for value in trainer.carried._values] for trainer in trainers]

    def restore(rank):
        carried = trainers[rank].carried
        return carried.restore(carried.gathered(), 16, 4)

    assert world.run(restore) == [True] * size
    for rank, trainer in enumerate(trainers):
        for value, old in zip(trainer.carried._values, before[rank], strict=True):
            np.testing.assert_array_equal(value, old)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_a_state_in_16_bits_is_kept_exactly(precision):
    model = build(precision)
    trainer = trainer_of(model)
    trainer.run(batches(), 2)
    kept = trainer.carried.gathered()
    dtype = tf.as_dtype(precision.removeprefix("mixed_"))
    for value in kept.values():
        assert value.dtype == np.float32
        np.testing.assert_array_equal(tf.cast(tf.cast(value, dtype), tf.float32), value)
        assert np.abs(value).max() > 0


def test_an_overflow_does_not_stay():
    model = build("mixed_float16")
    trainer = trainer_of(model)
    batch = {name: value[:ROWS] for name, value in next(batches()).items()}
    broken = [tf.constant(value, tf.float16) for value in (np.nan, np.inf)]
    after = [tf.fill([ROWS, 5], value) for value in (*broken, *broken)]
    model.with_state = lambda *_, **__: (None, tf.nest.pack_sequence_as(model.initial_state(1), after))
    _, states = trainer.carried.outputs(trainer.carried.joined(batch), None)
    assert all((state.numpy() == 0).all() for state in states)
