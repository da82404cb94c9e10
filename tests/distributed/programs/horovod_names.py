"""Runs every row of the table of Horovod's names in docs/keras-scripts.md on two ranks; prints the rows that it ran."""

import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path

import horovod.tensorflow as hvd
import keras
import numpy as np
import pytest
import tensorflow as tf
from horovod.tensorflow.keras import callbacks
from horovod.tensorflow.keras import elastic as keras_elastic

import tfdl
from tfdl import distributed
from tfdl.errors import UserError

assert not distributed.is_initialized()
world = distributed.init(subsets=[[0, 1]])
folder = Path(sys.argv[1])
x = tf.constant([[1.0, 2.0], [3.0, 4.0]]) * (world.rank + 1)
rows: dict[str, Callable[[], None]] = {}


def row(name: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Declares the check of the row with this name in its first cell."""

    def declare(check: Callable[[], None]) -> Callable[[], None]:
        rows[name] = check
        return check

    return declare


def compared(name: str, ours: Callable[[], object], horovods: Callable[[], object]) -> None:
    """Declares a row that has the same results in tfdl and Horovod."""

    def check() -> None:
        for found, right in zip(tf.nest.flatten(ours()), tf.nest.flatten(horovods()), strict=True):
            np.testing.assert_array_equal(found, right, err_msg=name)

    rows[name] = check


compared("`hvd.init()`", lambda: world.size, lambda: 2)
compared("`hvd.is_initialized()`", distributed.is_initialized, hvd.is_initialized)
compared("`hvd.rank()`, `hvd.size()`", lambda: (world.rank, world.size), lambda: (hvd.rank(), hvd.size()))
compared(
    "`hvd.local_rank()`, `hvd.local_size()`",
    lambda: (world.local_rank, world.local_size),
    lambda: (hvd.local_rank(), hvd.local_size()),
)
compared(
    "`hvd.cross_rank()`, `hvd.cross_size()`",
    lambda: (world.cross_rank, world.cross_size),
    lambda: (hvd.cross_rank(), hvd.cross_size()),
)
compared("`hvd.allreduce(x, op=hvd.Sum)`", lambda: world.all_reduce(x), lambda: hvd.allreduce(x, op=hvd.Sum))
compared("`hvd.allreduce(x)`, `hvd.Average`", lambda: world.all_reduce(x, op="average"), lambda: hvd.allreduce(x))
compared(
    "`hvd.Min`, `hvd.Max`, `hvd.Product`",
    lambda: [world.all_reduce(x, op=op) for op in ("min", "max", "product")],
    lambda: [hvd.allreduce(x, op=op) for op in (hvd.Min, hvd.Max, hvd.Product)],
)
compared("`hvd.allgather(x)`", lambda: world.all_gather(x), lambda: hvd.allgather(x))
compared("`hvd.broadcast(x, root_rank=1)`", lambda: world.broadcast(x, root=1), lambda: hvd.broadcast(x, root_rank=1))
splits = [2, 0] if world.rank == 0 else [1, 1]
compared("`hvd.alltoall(x, splits)`", lambda: world.all_to_all(x, splits), lambda: hvd.alltoall(x, splits))
compared("`hvd.reducescatter(x)`", lambda: world.reduce_scatter(x, op="average"), lambda: hvd.reducescatter(x))
compared(
    "`hvd.allgather_object(value)`",
    lambda: world.all_gather_object(world.rank),
    lambda: hvd.allgather_object(hvd.rank()),
)
compared(
    "`hvd.broadcast_object(value, root_rank=1)`",
    lambda: world.broadcast_object(world.rank, root=1),
    lambda: hvd.broadcast_object(hvd.rank(), root_rank=1),
)


@row("`hvd.broadcast_variables(variables, root_rank=1)`, `hvd.broadcast_`")
def broadcast_variables() -> None:
    ours = tf.Variable(x)
    horovods = tf.Variable(x)
    distributed.broadcast_state([ours], world, root=1)
    hvd.broadcast_variables([horovods], root_rank=1)
    np.testing.assert_array_equal(ours, horovods)


@row("`hvd.ProcessSet([0, 1])`")
def process_set() -> None:
    group = world.subset([0, 1])
    assert (group.rank, group.size) == (world.rank, 2)


def model() -> keras.Model:
    """A layer of one weight, which is 0, and a local one."""
    layers = [keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name=name) for name in ("a", "b")]
    return keras.Sequential([keras.Input((1,)), *layers])


def step(optimizer: keras.optimizers.Optimizer, network: keras.Model, times: int = 1) -> list[float]:
    """The weights after steps with the gradients 1 and 1 on rank 0, and 3 and 3 on rank 1."""
    distributed.Replicas(network, optimizer).broadcast()
    for _ in range(times):
        gradients = [tf.fill(variable.shape, 1.0 + 2 * world.rank) for variable in network.trainable_variables]
        optimizer.apply(gradients, network.trainable_variables)
    return [float(np.asarray(variable).ravel()[0]) for variable in network.trainable_variables]


@row("`hvd.DistributedOptimizer(optimizer)`")
def distributed_optimizer() -> None:
    assert step(distributed.DistributedOptimizer(keras.optimizers.SGD(1.0)), model()) == [-2.0, -2.0]


@row("`hvd.Compression.fp16`")
def compression() -> None:
    optimizer = distributed.DistributedOptimizer(keras.optimizers.SGD(1.0), compression="float16")
    assert step(optimizer, model()) == [-2.0, -2.0]


@row("`backward_passes_per_step=2`")
def accumulation() -> None:
    sgd = keras.optimizers.SGD(0.5, gradient_accumulation_steps=2)
    assert step(distributed.DistributedOptimizer(sgd), model(), times=2) == [-1.0, -1.0]


@row("`hvd.PartialDistributedOptimizer(optimizer, local_layers=layers)`, `register_local_var`")
def local_layers() -> None:
    network = model()
    optimizer = distributed.DistributedOptimizer(keras.optimizers.SGD(1.0), local=[network.get_layer("b")])
    assert step(optimizer, network) == [-2.0, -0.5 if world.rank == 0 else -1.5]


@row("`hvd.DistributedGradientTape(tape)`, `hvd.PartialDistributedGradientTape`")
def gradient_tape() -> None:
    variable = tf.Variable(3.0)
    with hvd.DistributedGradientTape(tf.GradientTape()) as tape:
        loss = variable * (1.0 + 2 * world.rank)
    (horovods,) = tape.gradient(loss, [variable])
    network = model()
    optimizer = distributed.DistributedOptimizer(keras.optimizers.SGD(1.0))
    assert step(optimizer, network)[0] == -float(horovods)


def fit(*others: keras.callbacks.Callback, learning_rate: float = 0.5) -> tuple[keras.Model, dict[str, list[float]]]:
    """Trains two epochs of two steps."""
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    optimizer = distributed.DistributedOptimizer(keras.optimizers.SGD(learning_rate))
    network.compile(optimizer, loss="mse", metrics=["mae"])
    values = np.full((4, 1), world.rank, "float32")
    all_callbacks = [distributed.BroadcastState(), *others]
    history = network.fit(values, values, batch_size=2, epochs=2, verbose=0, callbacks=all_callbacks)
    return network, history.history


@row("`hvd.callbacks.BroadcastGlobalVariablesCallback(0)`")
def broadcast_state() -> None:
    network, _ = fit(learning_rate=1e-30)
    kernels = world.all_gather_object(np.asarray(network.weights[0]).tolist())
    assert kernels[0] == kernels[1]


@row("`hvd.callbacks.MetricAverageCallback()`")
def average_metrics() -> None:
    _, history = fit(distributed.AverageMetrics())
    histories = world.all_gather_object(history)
    assert histories[0] == histories[1]


@row("`hvd.callbacks.LearningRateWarmupCallback(rate, warmup_epochs=2)`")
def warmup() -> None:
    rates: list[float] = []

    class Record(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: object = None) -> None:  # noqa: ARG002
            rates.append(float(self.model.optimizer.learning_rate))

    fit(distributed.LearningRateWarmup(2), Record())
    # Horovod's formula, with 2 ranks and 2 steps in an epoch.
    right = [0.5 / 2 * ((number + 1) / 2 * (2 - 1) / 2 + 1) for number in range(4)]
    np.testing.assert_allclose(rates, right, rtol=1e-6)


@row("`hvd.callbacks.LearningRateScheduleCallback`")
def schedule() -> None:
    network, _ = fit(keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (1 + epoch)))
    np.testing.assert_allclose(float(network.optimizer.learning_rate), 0.05, rtol=1e-6)


@row("`hvd.callbacks.BestModelCheckpoint`")
def checkpoint() -> None:
    path = folder / "best.keras"
    saves = [keras.callbacks.ModelCheckpoint(path, monitor="loss", save_best_only=True)] if world.is_chief else []
    fit(distributed.AverageMetrics(), *saves)
    world.barrier()
    assert path.is_file()


@row("`hvd.SyncBatchNormalization()`")
def synchronized() -> None:
    layer = tfdl.layers.BatchNormalization(synchronized=True, epsilon=0.0)
    outputs = layer(tf.constant([[world.rank * 2.0]]), training=True)
    np.testing.assert_allclose(outputs, [[2.0 * world.rank - 1]], rtol=1e-6)


@row("`hvd.load_model(path)`")
def load_model() -> None:
    network, _ = fit()
    path = folder / f"{world.rank}.keras"
    network.save(path)
    loaded = keras.saving.load_model(path)
    loaded.optimizer = distributed.DistributedOptimizer(loaded.optimizer)
    values = np.zeros((2, 1), "float32")
    loaded.fit(values, values, verbose=0, callbacks=[distributed.BroadcastState()])


@row("`hvd.elastic.run`")
def elastic_run() -> None:
    """Without the elastic launcher the function is called once."""
    network = model()
    network.compile(distributed.DistributedOptimizer(keras.optimizers.SGD(1.0)), "mse")
    calls = []
    distributed.elastic.run(calls.append)(distributed.elastic.KerasState(network))
    assert len(calls) == 1


def elastic_state(**values: int) -> distributed.elastic.KerasState:
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    network.compile(distributed.DistributedOptimizer(keras.optimizers.SGD(0.5)), "mse")
    return distributed.elastic.KerasState(network, **values)


def fit_of(state: distributed.elastic.KerasState, *others: keras.callbacks.Callback) -> None:
    """Two batches on each rank."""
    values = np.full((4, 1), world.rank, "float32")
    state.model.fit(values, values, batch_size=2, verbose=0, callbacks=[distributed.BroadcastState(), *others])


@row("`hvd.elastic.KerasState(model, epoch=0)`")
def keras_state() -> None:
    state = elastic_state(epoch=world.rank)
    with pytest.raises(TypeError, match="not callable"):
        keras_elastic.KerasState(state.model, state.model.optimizer)
    state.sync()
    assert state.epoch == 0  # rank 0's
    kernels = world.all_gather_object(np.asarray(state.model.weights[0]).tolist())
    assert kernels[0] == kernels[1]


@row("`hvd.elastic.CommitStateCallback(state, 2)`")
def commit_state() -> None:
    state = elastic_state()
    fit_of(state, distributed.elastic.CommitStateCallback(state, 2))
    kernel = np.asarray(state.model.weights[0])
    state.model.weights[0].assign(kernel + 1.0)
    state.restore()
    np.testing.assert_array_equal(state.model.weights[0], kernel)


@row("`hvd.elastic.UpdateBatchStateCallback(state)`")
def update_batch_state() -> None:
    state = elastic_state(batch=0)
    numbers = []
    note = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: numbers.append(state.batch))  # noqa: ARG005
    fit_of(state, distributed.elastic.UpdateBatchStateCallback(state), note)
    assert numbers == [1, 2]
    assert state.batch == 0


@row("`hvd.elastic.UpdateEpochStateCallback(state)`")
def update_epoch_state() -> None:
    state = elastic_state(epoch=0)
    fit_of(state, distributed.elastic.UpdateEpochStateCallback(state))
    assert state.epoch == 1


@row("`hvd.shutdown()`")
def shutdown() -> None:
    distributed.shutdown()
    assert not distributed.is_initialized()
    assert not hvd.is_initialized()
    with pytest.raises(UserError, match=r"after shutdown\(\)"):
        distributed.init()


rank = world.rank
for check in rows.values():
    check()
if rank == 0:
    public = [name for name, value in vars(hvd).items() if name[0] != "_" and not inspect.ismodule(value)]
    public += [name for name, value in vars(callbacks).items() if inspect.isclass(value)]
    public += keras_elastic.__all__
    print(json.dumps([list(rows), public]), flush=True)
