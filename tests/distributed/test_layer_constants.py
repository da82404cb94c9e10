"""Values of layers that are no variables, when the ranks get one state; ranks are threads."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdl.distributed import DistributedOptimizer, Replicas
from tfdl.errors import UserError

DATA = np.random.default_rng(0).normal(3, 2, (40, 3)).astype("float32")


def adapted(layer: Any, data: Any) -> Any:
    layer.adapt(data)
    return layer


class Scale(keras.layers.Layer):
    """Divides by what it was made with."""

    def __init__(self, scale: Any, rank: int = 0):
        super().__init__()
        self.scale = scale
        self.rank = rank

    def call(self, inputs: Any) -> Any:
        return inputs / (self.scale["by"] if isinstance(self.scale, dict) else self.scale)


def share(world: Any, *layers_of_ranks: Any) -> list[np.ndarray]:
    """Each rank's output for one row, after its model has the common state."""
    models = [keras.Sequential([keras.Input((3,)), layer, keras.layers.Dense(1)]) for layer in layers_of_ranks]

    def on_rank(rank: int) -> np.ndarray:
        models[rank].predict(DATA[:1], verbose=0)  # traced with this rank's own values
        optimizer = DistributedOptimizer(keras.optimizers.SGD(0.1))
        Replicas(models[rank], optimizer).broadcast()
        return np.asarray(models[rank].predict(DATA[:1], verbose=0))

    return world.run(on_rank)


def test_normalization_of_all_ranks_uses_the_statistics_of_rank_0(ranks: Any) -> None:
    outputs = share(ranks(2), *(adapted(keras.layers.Normalization(), DATA[rank::2]) for rank in range(2)))
    np.testing.assert_array_equal(outputs[0], outputs[1])


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (
            lambda rank: adapted(keras.layers.Discretization(num_bins=3), DATA[rank::2]),
            "Discretization.*bin_boundaries",
        ),
        (lambda rank: keras.layers.Rescaling(1 / float(DATA[rank::2].max())), r"Rescaling.*another scale"),
        (lambda rank: keras.layers.Normalization(mean=DATA[rank], variance=DATA[0] ** 2), "Normalization.*mean"),
        (lambda rank: Scale(DATA[rank]), "Scale.*another scale on rank 1 than on rank 0"),
        (lambda rank: Scale(tf.constant(DATA[rank])), "Scale.*another scale"),
        (lambda rank: Scale({"by": DATA[rank]}), "Scale.*another scale"),
    ],
)
def test_other_values_that_differ_are_an_error(ranks: Any, make: Any, name: str) -> None:
    with pytest.raises(UserError, match=name):
        share(ranks(2), make(0), make(1))


@pytest.mark.parametrize(
    "make",
    [
        lambda rank: Scale(DATA[0].copy(), rank),  # a layer may keep its rank
        lambda _: adapted(keras.layers.Discretization(num_bins=3), DATA),
        lambda rank: keras.layers.Dropout(0.5, seed=rank),
    ],
)
def test_equal_values_pass(ranks: Any, make: Any) -> None:
    share(ranks(2), make(0), make(1))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda data: adapted(keras.layers.TextVectorization(output_mode="multi_hot", max_tokens=5), data), "StringL"),
        (lambda data: adapted(keras.layers.StringLookup(output_mode="multi_hot"), data), "StringLookup"),
    ],
)
def test_vocabularies_that_differ_are_an_error(ranks: Any, make: Any, words: str) -> None:
    def models(*texts: str) -> list[Any]:
        return [keras.Sequential([make(text.split()), keras.layers.Dense(1)]) for text in texts]

    def share_models(world: Any, made: list[Any]) -> None:
        for model in made:
            model(tf.constant([["a"]]))
        world.run(lambda rank: Replicas(made[rank], DistributedOptimizer(keras.optimizers.SGD())).broadcast())

    share_models(ranks(2), models("a b c", "a b c"))
    with pytest.raises(UserError, match=f"{words}.*another vocabulary on rank 1 than on rank 0"):
        share_models(ranks(2), models("a b c", "a b d"))
