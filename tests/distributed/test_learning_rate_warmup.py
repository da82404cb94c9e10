"""``LearningRateWarmup`` in Keras's fit."""

from typing import Any

import keras
import numpy as np
import pytest

from tfdl.distributed import DistributedOptimizer, LearningRateWarmup, SingleWorld
from tfdl.errors import UserError


class Four(SingleWorld):
    """Four ranks that have no gradients to average."""

    size = 4

    def all_reduce(self, tensor: Any, op: str = "sum") -> Any:  # noqa: ARG002
        return tensor


class Rates(keras.callbacks.Callback):
    """Records the learning rate of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.rates: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.rates.append(float(self.model.optimizer.learning_rate))


def fit(warmup: LearningRateWarmup, optimizer: Any = None, size: int = 4, **options: Any) -> list[float]:
    """The learning rates of the steps of some epochs of 4 steps each."""
    optimizer = optimizer or keras.optimizers.SGD(0.8)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(
        DistributedOptimizer(optimizer, world=Four() if size == 4 else SingleWorld()),
        loss="mse",
        steps_per_execution=options.pop("steps_per_execution", 1),
        jit_compile=False,
    )
    model.optimizer._share_state = None
    recorder = Rates()
    x = np.zeros((8, 1), "float32")
    model.fit(x, x, batch_size=2, verbose=0, callbacks=[warmup, recorder], **options)
    return recorder.rates


def horovods(step: int, epochs: float) -> float:
    """The rate of Horovod's LearningRateWarmupCallback, from its documentation, with the step that has ended."""
    epoch = (step + 1) / 4
    return min(0.8, 0.8 / 4 * (epoch * (4 - 1) / epochs + 1))


def test_the_rate_rises_from_that_of_one_rank() -> None:
    rates = fit(LearningRateWarmup(2), epochs=3)
    assert rates == pytest.approx([horovods(step, 2) for step in range(12)], rel=1e-6)
    assert rates[0] == pytest.approx(0.8 / 4 * (1 + 3 / 8), rel=1e-6)
    assert rates[7:] == [np.float32(0.8)] * 5


def test_a_fraction_of_an_epoch_and_several_steps_at_a_time() -> None:
    assert fit(LearningRateWarmup(0.5), epochs=1) == pytest.approx([0.5, 0.8, 0.8, 0.8], rel=1e-6)
    rates = fit(LearningRateWarmup(1), epochs=2, steps_per_execution=2)
    assert rates == pytest.approx([horovods(0, 1), horovods(2, 1), 0.8, 0.8], rel=1e-6)


def test_it_continues_within_the_warm_up_and_does_nothing_after_it() -> None:
    warmup = LearningRateWarmup(2)
    assert fit(warmup, epochs=1) == pytest.approx([horovods(step, 2) for step in range(4)], rel=1e-6)
    resumed = fit(warmup, keras.optimizers.SGD(0.5), epochs=2, initial_epoch=1)
    assert resumed == pytest.approx([horovods(step, 2) for step in range(4, 8)], rel=1e-6)
    assert fit(warmup, keras.optimizers.SGD(0.3), epochs=3, initial_epoch=2) == [np.float32(0.3)] * 4


def test_one_rank_has_the_full_rate() -> None:
    assert fit(LearningRateWarmup(2), size=1, epochs=1) == [np.float32(0.8)] * 4


def test_optimizers_around_others_are_warmed_up() -> None:
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.8))
    assert fit(LearningRateWarmup(1), optimizer, epochs=1) == pytest.approx(
        [horovods(i, 1) for i in range(4)], rel=1e-6
    )


def test_what_cannot_be_warmed_up_is_refused() -> None:
    with pytest.raises(UserError, match="warmup_epochs=0, expected a positive number"):
        LearningRateWarmup(0)
    with pytest.raises(UserError, match="steps_per_epoch=0, expected at least 1 step"):
        LearningRateWarmup(steps_per_epoch=0)
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    with pytest.raises(UserError, match="an optimizer with a CosineDecay, expected a learning rate that is a number"):
        fit(LearningRateWarmup(), keras.optimizers.SGD(schedule), epochs=1)
