"""The state of an elastic Keras script, its callbacks and its loop, in one process or on ranks that are threads."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdl import distributed
from tfdl.distributed.elastic import (
    CommitStateCallback,
    KerasState,
    UpdateBatchStateCallback,
    UpdateEpochStateCallback,
    run,
)
from tfdl.distributed.elastic.membership import FixedMembership, set_current_membership
from tfdl.errors import UserError

PAGE = Path(__file__).parents[2] / "docs" / "elastic.md"


class LostRankError(Exception):
    """What a collective would raise when a rank is lost."""


class ElasticMembership(FixedMembership):
    """An elastic job of one rank, without a launcher."""

    is_elastic = True

    def __init__(self) -> None:
        self.num_changes = 0

    def is_lost(self, error: BaseException) -> bool:
        return isinstance(error, LostRankError)

    def rejoin(self) -> None:
        self.num_changes += 1
        self.hosts_changed = False


@pytest.fixture
def membership() -> Iterator[ElasticMembership]:
    membership = ElasticMembership()
    set_current_membership(membership)
    yield membership
    set_current_membership(FixedMembership())


def compiled_model() -> keras.Model:
    layers = [keras.layers.BatchNormalization(), keras.layers.Dropout(0.5), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((2,)), *layers])
    model.compile(distributed.DistributedOptimizer(keras.optimizers.Adam(0.1)), "mse", run_eagerly=True)
    return model


def fit(model: keras.Model, *callbacks: keras.callbacks.Callback, batches: int = 4, **options: Any) -> None:
    rows = 2 * batches
    x = np.linspace(0.0, 1.0, 2 * rows, dtype="float32").reshape(rows, 2)
    model.fit(x, x[:, :1], batch_size=2, shuffle=False, verbose=0, callbacks=list(callbacks), **options)


def content(model: keras.Model) -> list[list[float]]:
    """All that the state of a model contains."""
    return [np.asarray(variable).ravel().tolist() for variable in [*model.variables, *model.optimizer.variables]]


def at_batch(number: int, error: Exception) -> keras.callbacks.Callback:
    """A callback that raises an error once, after a batch."""
    errors = [error]

    def raise_error(batch: int, logs: Any) -> None:  # noqa: ARG001
        if batch + 1 == number and errors:
            raise errors.pop()

    return keras.callbacks.LambdaCallback(on_train_batch_end=raise_error)


def test_restore_undoes_all_that_training_has_changed() -> None:
    model = compiled_model()
    state = KerasState(model, epoch=0, seen=[])
    state.sync()
    fit(model)
    state.epoch = 1
    state.seen.append("first")
    state.save()
    committed = content(model)
    fit(model)
    model.optimizer.learning_rate = 0.5
    state.epoch = 2
    state.seen.append("second")
    changed = [before != after for before, after in zip(committed, content(model), strict=True)]
    assert sum(changed) >= 12  # 4 weights, 2 statistics, the seed, 4 x 2 slots or more, step and rate
    state.restore()
    assert content(model) == committed
    assert (state.epoch, state.seen) == (1, ["first"])


def test_all_ranks_get_the_state_of_the_latest_copy(ranks: Callable[[int], Any]) -> None:
    """Rank 1 has made one copy more than rank 0, which has just joined."""
    world = ranks(2)

    def on_rank(rank: int) -> tuple[list[list[float]], int, list[int]]:
        keras.utils.set_random_seed(rank)
        model = compiled_model()
        state = KerasState(model, epoch=0)
        state.save()
        if rank == 1:
            state.epoch = 7
            state.save()
        state.sync()
        (dropout,) = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
        seed = np.asarray(dropout.seed_generator.state).tolist()
        dropout.seed_generator.state.assign([0, 0])
        return content(model), state.epoch, seed

    first, second = world.run(on_rank)
    assert first[0] == second[0]
    assert first[1] == second[1] == 7
    assert first[2][0] != second[2][0], "the ranks draw different random numbers"


def test_a_copy_has_the_random_streams_of_rank_0(ranks: Callable[[int], Any]) -> None:
    """So a rank that was rank 1 continues as rank 0 with the random numbers of rank 0."""
    world = ranks(2)

    def on_rank(rank: int) -> list[np.ndarray]:
        keras.utils.set_random_seed(rank)
        state = KerasState(compiled_model())
        state.sync()
        return state._copy.seeds

    first, second = world.run(on_rank)
    np.testing.assert_array_equal(first, second)


def test_a_lost_rank_costs_the_batches_since_the_last_commit(membership: ElasticMembership) -> None:
    model = compiled_model()
    state = KerasState(model, epoch=0, batch=0)
    begins: list[tuple[int, int]] = []
    resets: list[int] = []
    state.register_reset_callbacks([lambda: resets.append(state.batch)])
    lost = at_batch(3, LostRankError())

    @run
    def train(state: KerasState) -> str:
        begins.append((state.epoch, state.batch))
        # The commit is first: its place must not matter.
        callbacks = [CommitStateCallback(state, 2), UpdateBatchStateCallback(state), UpdateEpochStateCallback(state)]
        for epoch in range(state.epoch, 2):
            fit(model, lost, *callbacks, batches=4 - state.batch, initial_epoch=epoch, epochs=epoch + 1)
        return "done"

    assert train(state) == "done"
    assert begins == [(0, 0), (0, 2)]
    assert resets == [2]
    assert membership.num_changes == 1
    assert (state.epoch, state.batch) == (2, 0)
    assert int(model.optimizer.iterations) == 8, "each batch counts once"


def test_added_hosts_cost_no_batch(membership: ElasticMembership) -> None:
    state = KerasState(compiled_model(), epoch=0, batch=0)
    begins: list[int] = []

    @run
    def train(state: KerasState) -> None:
        begins.append(state.batch)
        membership.hosts_changed = len(begins) == 1
        callbacks = [UpdateBatchStateCallback(state), UpdateEpochStateCallback(state), CommitStateCallback(state, 3)]
        fit(state.model, *callbacks, batches=4 - state.batch)

    train(state)
    assert begins == [0, 3]
    assert int(state.model.optimizer.iterations) == 4


def test_without_a_commit_all_is_repeated(membership: ElasticMembership) -> None:
    """The control of the two tests above."""
    state = KerasState(compiled_model(), epoch=0, batch=0)
    lost = at_batch(3, LostRankError())
    iterations: list[int] = []

    @run
    def train(state: KerasState) -> None:
        iterations.append(int(state.model.optimizer.iterations))
        fit(state.model, lost, UpdateBatchStateCallback(state), UpdateEpochStateCallback(state))

    train(state)
    assert membership.num_changes == 1
    assert iterations == [0, 0]


def test_other_errors_and_those_of_fixed_ranks_are_raised(membership: ElasticMembership) -> None:
    state = KerasState(compiled_model())

    @run
    def divide(state: KerasState) -> float:  # noqa: ARG001
        return 1 / 0

    @run
    def lose(state: KerasState) -> None:  # noqa: ARG001
        raise LostRankError

    with pytest.raises(ZeroDivisionError):
        divide(state)
    set_current_membership(FixedMembership())
    with pytest.raises(LostRankError):
        lose(state)
    assert membership.num_changes == 0


def test_epochs_as_horovods_scripts_count_them() -> None:
    """With ``epochs=epochs - state.epoch``, Keras counts from 0 again."""
    state = KerasState(compiled_model(), epoch=3)
    fit(state.model, UpdateEpochStateCallback(state), epochs=5 - state.epoch)
    assert state.epoch == 5


@pytest.mark.parametrize(
    ("done", "num_batches", "old", "new", "expected"),
    [(12, 24, 2, 1, 24), (12, 24, 2, 3, 8), (5, 24, 2, 3, 3), (3, 4, 1, 2, 1), (9, 10, 1, 3, 2), (1, 2, 1, 4, 0)],
)
def test_batches_done_by_other_numbers_of_ranks(done: int, num_batches: int, old: int, new: int, expected: int) -> None:
    """Rounded down, and so that one batch is left: in the last cases the rest is less than a batch for each rank."""
    state = KerasState(compiled_model(), batch=done)
    callback = UpdateBatchStateCallback(state)
    callback.set_params({"steps": num_batches - done})
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    callback.adapt(old, new)
    assert state.batch == expected


def with_two_optimizers() -> KerasState:
    return KerasState(compiled_model(), [keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: KerasState(keras.Sequential([keras.layers.Dense(1)])), "layer .* is not built"),
        (lambda: KerasState(compiled_model(), commit=1), "a value named 'commit'"),
        (
            lambda: KerasState(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])).sync(),
            "without an optimizer",
        ),
        (lambda: with_two_optimizers().sync(), "several optimizers, and SGD is not built"),
        (lambda: KerasState(compiled_model(), function=lambda: 0).save(), "cannot be pickled"),
        (lambda: CommitStateCallback(KerasState(compiled_model()), 0), "batches_per_commit=0, expected at least 1"),
        (lambda: UpdateBatchStateCallback(KerasState(compiled_model(), epoch=0)), "no value 'batch'"),
        (lambda: UpdateEpochStateCallback(KerasState(compiled_model(), batch=0)), "no value 'epoch'"),
    ],
)
def test_mistakes(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()


def test_a_plain_optimizer_is_refused_on_one_rank_too(membership: ElasticMembership) -> None:  # noqa: ARG001
    model = compiled_model()
    model.compile(keras.optimizers.SGD(0.1), "mse")
    with pytest.raises(UserError, match="got a plain SGD"):
        KerasState(model).sync()


def test_the_loop_in_the_documentation() -> None:
    """The second block of code of the page. The first, a whole script, is run by ``tests/soak``."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    model = compiled_model()
    inputs = np.ones((4, 2), "float32")
    variables = {
        "distributed": distributed,
        "tf": tf,
        "world": distributed.current_world(),
        "model": model,
        "optimizer": model.optimizer,
        "steps": 25,
        "batch_of": lambda step, rank, size: (inputs * step, inputs[:, :1]),  # noqa: ARG005
    }
    exec(compile(blocks[1], PAGE.name, "exec"), variables)
    state: Any = variables["state"]
    variables["train"](state)  # type: ignore[operator]
    assert int(model.optimizer.iterations) == state.step == 25
    state.restore()
    assert int(model.optimizer.iterations) == state.step == 20


def test_ranks_that_may_change_have_no_subsets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ELASTIC": "1", "RANK": "0", "SIZE": "1"}.items():
        monkeypatch.setenv(f"HOROVOD_{name}", value)
    with pytest.raises(UserError, match="in an elastic job, expected none"):
        distributed.init(subsets=[[0]])
    assert distributed.init(elastic=False).size == 1  # the control
    distributed.shutdown()
