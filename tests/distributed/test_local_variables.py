"""``DistributedOptimizer(local=...)``: layers and variables that each rank trains for itself."""

import pickle
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdl.distributed import DistributedOptimizer, Replicas
from tfdl.distributed.callbacks.broadcast_state import BroadcastState
from tfdl.distributed.optimizer import local_variables
from tfdl.errors import RunError, UserError


def model_of(rank: int) -> keras.Model:
    """A shared layer, and a local one that is wider on rank 1; all values differ between the ranks."""
    local = keras.Sequential([keras.layers.Dense(2 + rank), keras.layers.BatchNormalization()], name="local")
    shared = keras.layers.Dense(2, name="shared")
    model = keras.Sequential([keras.Input((3,)), shared, local])
    for variable in model.weights:
        variable.assign(tf.fill(variable.shape, rank + 1.0))
    return model


OPTIMIZERS = [
    lambda: keras.optimizers.SGD(1.0, momentum=0.5),
    lambda: keras.optimizers.Adam(0.1, use_ema=True),
    lambda: keras.optimizers.SGD(1.0, gradient_accumulation_steps=2),
    lambda: keras.optimizers.Adafactor(0.1),
    lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1.0), initial_scale=1.0),
]


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_they_keep_their_state_and_gradients_on_their_rank(ranks: Callable[[int], Any], make: Any) -> None:
    world = ranks(2)
    models = [model_of(rank) for rank in range(2)]
    optimizers = [DistributedOptimizer(make(), local=models[rank].get_layer("local")) for rank in range(2)]
    # The same optimizer on one rank: the local gradients are divided by the number of ranks.
    references = [make() for _ in range(2)]
    copies = [model_of(rank) for rank in range(2)]

    def train(rank: int) -> None:
        replicas = Replicas(models[rank], optimizers[rank], check_every=1)
        replicas.broadcast()
        for step in (1, 2):
            gradients = [tf.fill(variable.shape, 1.0 + rank) for variable in models[rank].trainable_variables]
            optimizers[rank].apply(gradients, models[rank].trainable_variables)
            replicas.check(step)
        replicas.finish()

    world.run(train)
    for rank in range(2):
        copies[rank].get_layer("shared").set_weights([np.ones((3, 2)), np.ones(2)])  # rank 0's
        for _ in range(2):
            by_variable = [1.5, 1.5, *[(1.0 + rank) / 2] * 4]
            variables = copies[rank].trainable_variables
            gradients = [tf.fill(variable.shape, each) for variable, each in zip(variables, by_variable, strict=True)]
            references[rank].apply(gradients, variables)
        for found, right in zip(models[rank].weights, copies[rank].weights, strict=True):
            np.testing.assert_allclose(found, right, rtol=1e-6, err_msg=f"rank {rank} {found.path}")


def test_unscaled_gradients_are_those_of_the_rank(ranks: Callable[[int], Any]) -> None:
    world = ranks(2)
    variables = [[keras.Variable([0.0]), keras.Variable([0.0])] for _ in range(2)]
    sgd = keras.optimizers.SGD
    optimizers = [DistributedOptimizer(sgd(1.0), local=[mine[1]], scale_local=False) for mine in variables]

    def step(rank: int) -> None:
        optimizers[rank]._share_state = None
        rows = tf.IndexedSlices(tf.constant([rank + 1.0]), tf.constant([0]), tf.constant([1]))
        optimizers[rank].apply([tf.constant([rank + 1.0]), rows], variables[rank])

    world.run(step)
    assert [float(shared[0]) for shared, _ in variables] == [-1.5, -1.5]
    assert [float(local[0]) for _, local in variables] == [-1.0, -2.0]


def test_a_shared_variable_that_differs_is_still_found(ranks: Callable[[int], Any]) -> None:
    world = ranks(2)
    models = [model_of(rank) for rank in range(2)]

    def train(rank: int) -> None:
        optimizer = DistributedOptimizer(keras.optimizers.SGD(), local=[models[rank].get_layer("local")])
        replicas = Replicas(models[rank], optimizer)
        replicas.broadcast()
        if rank == 1:
            models[rank].get_layer("shared").bias.assign([1.0, 1.5])
        replicas.check(1)

    with pytest.raises(RunError, match=r"rank 1 differs from rank 0 in \S*shared/bias: the ranks no longer"):
        world.run(train)


def test_all_ranks_skip_a_step_whose_local_gradient_is_infinite_on_one(ranks: Callable[[int], Any]) -> None:
    world = ranks(2)
    variables = [[keras.Variable([0.0]), keras.Variable([0.0])] for _ in range(2)]
    scaling = keras.optimizers.LossScaleOptimizer
    optimizers = [
        DistributedOptimizer(scaling(keras.optimizers.SGD(1.0), initial_scale=4.0), local=mine[1]) for mine in variables
    ]

    def step(rank: int) -> None:
        optimizers[rank]._share_state = None
        optimizers[rank].apply([tf.constant([1.0]), tf.constant([np.inf if rank else 1.0])], variables[rank])

    world.run(step)
    assert [float(variable[0]) for mine in variables for variable in mine] == [0.0] * 4
    assert [float(optimizer.dynamic_scale) for optimizer in optimizers] == [2.0, 2.0]


def test_local_moving_statistics_are_not_averaged(ranks: Callable[[int], Any]) -> None:
    world = ranks(2)
    models = [model_of(0) for _ in range(2)]
    for rank, model in enumerate(models):
        model.get_layer("local").layers[1].moving_mean.assign([float(rank), 5.0])

    def end_an_epoch(rank: int) -> None:
        model = models[rank]
        model.compile(DistributedOptimizer(keras.optimizers.SGD(), local=model.get_layer("local")), loss="mse")
        callback = BroadcastState()
        callback.set_model(model)
        callback.set_params({"steps": 1})
        callback.on_train_begin()
        callback.on_epoch_begin(0)
        callback.on_training_metrics()

    world.run(end_an_epoch)
    means = [np.asarray(model.get_layer("local").layers[1].moving_mean)[0] for model in models]
    assert means == [0.0, 1.0]


def test_a_layer_may_be_built_later() -> None:
    layer = keras.layers.Dense(1)
    optimizer = DistributedOptimizer(keras.optimizers.SGD(), local=layer)
    assert local_variables([optimizer]) == []
    layer.build((None, 2))
    assert [variable.name for variable in local_variables([optimizer])] == ["kernel", "bias"]


def test_what_cannot_be_local_is_refused() -> None:
    with pytest.raises(UserError, match="local= got str, expected Keras layers or variables"):
        DistributedOptimizer(keras.optimizers.SGD(), local=["dense"])
    for optimizer in (
        keras.optimizers.SGD(global_clipnorm=1.0),
        keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(global_clipnorm=1.0)),
    ):
        with pytest.raises(UserError, match="local= with global_clipnorm, expected clipnorm or clipvalue"):
            DistributedOptimizer(optimizer, local=keras.layers.Dense(1))


def test_an_optimizer_with_local_layers_is_not_pickled() -> None:
    layer = keras.layers.Dense(2)
    layer.build((None, 3))
    optimizer = DistributedOptimizer(keras.optimizers.SGD(0.1), local=layer)
    with pytest.raises(UserError, match=r"local=\.\.\.\) cannot be pickled, because its layers belong to a model"):
        pickle.dumps(optimizer)
