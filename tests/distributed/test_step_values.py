"""Values that a custom step returns, over ranks as threads."""

import warnings
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdl.distributed import AverageMetrics
from tfdl.distributed.step_values import values_over_ranks


def over_ranks(world: Any, logged: list[Any], local: list[Any], exact: dict[str, Any]) -> dict[str, Any]:
    """The values of rank 0, after a check that all ranks have the same."""
    results = world.run(lambda rank: values_over_ranks(logged[rank], local[rank], exact, world))
    for result in results:
        assert repr(sorted(result.items())) == repr(sorted(results[0].items()))  # NaN is not equal to itself
    return results[0]


def test_a_metric_is_exact_and_other_values_are_means(ranks: Any) -> None:
    # (accuracy: the ranks have 1 of 2 and 3 of 3 right.)
    logged = [{"accuracy": 0.5, "loss": 2.0}, {"accuracy": 1.0, "loss": 6.0}]
    local = [{"accuracy": 0.5, "loss": 0.0}, {"accuracy": 1.0, "loss": 0.0}]
    assert over_ranks(ranks(2), logged, local, {"accuracy": 0.8, "loss": 0.0}) == {"accuracy": 0.8, "loss": 4.0}


def test_a_value_that_equals_the_metric_on_one_rank_only_is_no_metric(ranks: Any) -> None:
    logged = [{"loss": 3.0}, {"loss": 3.0}, {"loss": 6.0}]
    local = [{"loss": 3.0}, {"loss": 1.0}, {"loss": 1.0}]
    assert over_ranks(ranks(3), logged, local, {"loss": 1.5}) == {"loss": 4.0}


def test_arrays_nested_values_and_tensors_are_averaged(ranks: Any) -> None:
    logged = [
        {"by_class": np.array([1.0, 2.0]), "parts": {"real": tf.constant(1.0), "fake": 5}},
        {"by_class": np.array([3.0, 8.0]), "parts": {"real": tf.constant(2.0), "fake": 6}},
    ]
    found = over_ranks(ranks(2), logged, [{}, {}], {})
    np.testing.assert_array_equal(found.pop("by_class"), [2.0, 5.0])
    assert found == {"real": 1.5, "fake": 5.5}


def test_equal_values_keep_their_bits_and_what_has_no_mean_is_left(ranks: Any) -> None:
    rate = 0.1 + 0.2
    rows = [{"rate": rate, "note": "a", "lost": np.nan}, {"rate": rate, "note": "b", "lost": np.nan}]
    rows.append({"rate": rate, "note": "c", "lost": np.nan, "own": 1.0})
    found = over_ranks(ranks(3), [rows[2], rows[0], rows[1]], [{}, {}, {}], {})
    assert found.pop("rate") == rate
    assert np.isnan(found.pop("lost"))
    assert found == {}


class Returning(keras.Model):
    """Returns its loss under a name, with or without an update of the metric ``loss``."""

    name_of_loss = "loss"
    updates = False

    def train_step(self, data: Any) -> dict[str, Any]:
        loss = self.compute_loss(*data, self(data[0]))
        if self.updates:
            self.metrics[0].update_state(loss)
        return {self.name_of_loss: loss}


@pytest.mark.parametrize(
    ("name", "updates", "warns"), [("loss", False, True), ("loss", True, False), ("error", False, False)]
)
def test_a_loss_that_keras_logs_as_0_is_reported(name: str, updates: bool, warns: bool) -> None:
    inputs = keras.Input((3,))
    model = Returning(inputs, keras.layers.Dense(1)(inputs))
    model.name_of_loss = name
    model.updates = updates
    model.compile("sgd", loss="mse")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = model.fit(np.ones((8, 3)), np.ones((8, 1)), callbacks=[AverageMetrics()], verbose=0)
    found = [str(warning.message) for warning in caught if "train_step returns 'loss'" in str(warning.message)]
    assert bool(found) == warns
    assert (history.history[name][0] == 0) == warns
