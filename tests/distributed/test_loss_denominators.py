"""Masked and weighted losses in a training step on several ranks (threads): those of one process on all samples."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest

from tfdl.distributed import DistributedOptimizer, Replicas
from tfdl.distributed.loss_denominators import share_denominators
from tfdl.distributed.world import SingleWorld

RANDOM = np.random.default_rng(0)
RANKS = 3
X = RANDOM.normal(size=(6, 4, 2))
# The ranks' parts have 8, 1 and no steps that are not masked.
X[2:] = 0
X[3, 1] = 1.5
TARGETS = RANDOM.normal(size=(6, 4, 1))
CLASSES = np.array([[0, 1, 2, 0], [1, 1, 2, 2], [0, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]])
BY_SAMPLE = np.array([0.1, 3.0, 2.0, 0.5, 7.0, 0.0])
BY_STEP = RANDOM.uniform(size=(6, 4))


@pytest.fixture(autouse=True)
def in_float64() -> Iterator[None]:
    """Keras adds up a model's losses in its default dtype."""
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")


class Step(keras.Model):
    """Returns its loss only."""

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        return {"loss": self.compute_loss(x, y, self(x), weights)}


def model_with(loss: Any, *, masked: bool, units: int) -> Any:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 2), dtype="float64")
    hidden = keras.layers.Masking(dtype="float64")(inputs) if masked else inputs
    activation = "softmax" if units > 1 else None
    model = Step(inputs, keras.layers.Dense(units, activation, dtype="float64")(hidden))
    model.compile("sgd", loss=loss)
    return model


def squared(reduction: str) -> Any:
    return keras.losses.MeanSquaredError(reduction=reduction, dtype="float64")


@pytest.mark.parametrize("weights", [None, BY_SAMPLE, BY_STEP], ids=["plain", "by sample", "by step"])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean", "mean_with_sample_weight"])
def test_the_mean_over_ranks_is_the_loss_of_one_process(ranks: Any, reduction: str, masked: bool, weights: Any) -> None:
    if weights is BY_SAMPLE:
        weights = np.repeat(weights[:, None], 4, axis=1) if masked else weights[:, None]
    check(ranks(RANKS), lambda: model_with(squared(reduction), masked=masked, units=1), TARGETS, weights)


def test_ignored_classes_are_no_part_of_the_mean(ranks: Any) -> None:
    def make() -> Any:
        loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=0, dtype="float64")
        return model_with(loss, masked=False, units=3)

    check(ranks(RANKS), make, CLASSES, None)


def check(world: Any, make: Any, targets: Any, weights: Any) -> None:
    """Compares the mean of the ranks' losses with one process's loss of all samples."""
    arrays = [X, targets] if weights is None else [X, targets, weights]
    expected = float(make().train_step(tuple(arrays))["loss"])
    models = [make() for _ in range(RANKS)]
    for model in models:
        share_denominators(model, lambda: world)

    def loss_of(rank: int) -> float:
        return float(models[rank].train_step(tuple(array[2 * rank : 2 * rank + 2] for array in arrays))["loss"])

    assert np.mean(world.run(loss_of)) == pytest.approx(expected, abs=1e-12)


class NoCollectives(SingleWorld):
    size = 2

    def all_reduce(self, tensor: Any) -> Any:
        raise AssertionError(f"a collective of {tensor}")


def test_other_losses_and_evaluation_need_no_collective() -> None:
    plain = model_with("mse", masked=False, units=1)
    share_denominators(plain, NoCollectives)
    plain.train_step((X, TARGETS, BY_STEP))
    already_reduced = model_with(lambda y, p: keras.ops.mean((y - p) ** 2), masked=True, units=1)
    share_denominators(already_reduced, NoCollectives)
    already_reduced.train_step((X, TARGETS))
    masked = model_with("mse", masked=True, units=1)
    share_denominators(masked, NoCollectives)
    masked.test_step((X, TARGETS))
    with pytest.raises(AssertionError, match="a collective"):
        masked.train_step((X, TARGETS))


def test_a_model_that_is_trained_on_one_rank_later_needs_no_collective(ranks: Any) -> None:
    model = model_with("mse", masked=True, units=1)
    world = ranks(2)
    models = [model, model_with("mse", masked=True, units=1)]

    def share(rank: int) -> None:
        models[rank].optimizer = DistributedOptimizer(keras.optimizers.SGD())
        Replicas(models[rank], models[rank].optimizer).broadcast()

    world.run(share)
    model.compile(DistributedOptimizer(keras.optimizers.SGD(), world=SingleWorld()), loss="mse")
    expected = model_with("mse", masked=True, units=1)
    assert float(model.train_step((X, TARGETS))["loss"]) == float(expected.train_step((X, TARGETS))["loss"])
