"""A variable that has a gradient on some ranks only, with ranks as threads."""

from typing import Any

import keras
import pytest
import tensorflow as tf

from tfdl.distributed import DistributedOptimizer, Replicas
from tfdl.errors import UserError

PLAIN = keras.optimizers.SGD
LOSS_SCALE = lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())  # noqa: E731


def step(world: Any, make: Any, *gradients_of_ranks: list[float | None]) -> None:
    """Each rank's first two steps, with the given gradients."""
    size = len(gradients_of_ranks)
    models = [keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name=f"out{rank}")]) for rank in range(size)]

    def on_rank(rank: int) -> None:
        optimizer = DistributedOptimizer(make())
        Replicas(models[rank], optimizer).broadcast()
        variables = models[rank].trainable_variables
        pairs = zip(gradients_of_ranks[rank], variables, strict=False)
        gradients = [None if value is None else tf.fill(variable.shape, value) for value, variable in pairs]
        for _ in range(2):
            optimizer.apply(gradients, variables[: len(gradients)])

    world.run(on_rank)


@pytest.mark.parametrize("make", [PLAIN, LOSS_SCALE])
@pytest.mark.parametrize(
    ("gradients", "message"),
    [
        ([[1.0, 1.0], [1.0, 1.0], [1.0, None]], "rank 2 has no gradient of .*out0/bias, and rank 0 has one"),
        ([[None, 1.0], [1.0, 1.0]], "rank 0 has no gradient of .*out0/kernel, and rank 1 has one"),
        ([[1.0, 1.0], [None, None]], "rank 1 has no gradient of .*out0/kernel, and rank 0 has one"),
        ([[1.0, 1.0], [1.0]], "rank 0 trains 2 variables and rank 1 trains 1"),
    ],
)
def test_the_rank_and_the_variable_are_named(ranks: Any, make: Any, gradients: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        step(ranks(len(gradients)), make, *gradients)


def test_a_variable_without_a_gradient_on_all_ranks_is_left(ranks: Any) -> None:
    step(ranks(2), PLAIN, [None, 1.0], [None, 2.0])
