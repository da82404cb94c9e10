"""Accumulated gradients when the ranks get one state, with ranks as threads."""

from typing import Any

import keras
import numpy as np
import pytest

from tfdl.distributed import DistributedOptimizer, Replicas
from tfdl.errors import UserError


def model_with(rank: int, accumulation: int | None, step: int) -> Any:
    """A model whose weights and accumulated gradients are ``10 + rank``, at a step of training."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.optimizer = DistributedOptimizer(keras.optimizers.SGD(0.1, gradient_accumulation_steps=accumulation))
    model.optimizer.build(model.trainable_variables)
    model.optimizer._iterations.assign(step)
    for variable in [*model.variables, *(model.optimizer._accumulated_gradients if accumulation else [])]:
        variable.assign(np.full(variable.shape, 10.0 + rank))
    return model


def shared(world: Any, models: list[Any]) -> list[tuple[float, float, int]]:
    """Each rank's first weight, first accumulated gradient, and step, after the broadcast."""

    def share(rank: int) -> tuple[float, float, int]:
        Replicas(models[rank], models[rank].optimizer).broadcast()
        optimizer = models[rank].optimizer
        (weight, *_), (accumulated, *_) = models[rank].variables, optimizer._accumulated_gradients
        return float(np.ravel(weight)[0]), float(np.ravel(accumulated)[0]), int(optimizer._iterations)

    return world.run(share)


def test_ranks_at_the_same_step_keep_what_they_have_accumulated(ranks: Any) -> None:
    found = shared(ranks(2), [model_with(rank, 3, step=7) for rank in range(2)])
    assert found == [(10.0, 10.0, 7), (10.0, 11.0, 7)]


def test_ranks_at_other_steps_get_all_of_rank_0(ranks: Any) -> None:
    found = shared(ranks(3), [model_with(rank, 3, step=7 if rank == 0 else 0) for rank in range(3)])
    assert found == [(10.0, 10.0, 7)] * 3


def test_a_rank_that_does_not_accumulate_is_an_error(ranks: Any) -> None:
    models = [model_with(0, 3, step=0), model_with(1, None, step=0)]
    with pytest.raises(UserError, match="the ranks' models differ: rank 0 has"):
        shared(ranks(2), models)
