"""A script that several ranks run without ``tfdl.distributed.init()`` is refused: each rank would train alone."""

import keras
import numpy as np
import pytest

from tfdl import distributed
from tfdl.distributed.world import WORLD_BEFORE_INIT
from tfdl.errors import UserError

X = np.zeros((8, 3), "float32")
Y = np.zeros((8, 1), "float32")
ERROR = r"horovodrun started 2 ranks, but this script trains without tfdl\.distributed\.init\(\)"


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that horovodrun gives rank 1 of 2."""
    distributed.set_current_world(WORLD_BEFORE_INIT)
    monkeypatch.setenv("HOROVOD_RANK", "1")
    monkeypatch.setenv("HOROVOD_SIZE", "2")


def compiled(optimizer: keras.optimizers.Optimizer) -> keras.Model:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(optimizer=optimizer, loss="mse", metrics=["mae"])
    return model


@pytest.mark.parametrize("callbacks", [[], [distributed.BroadcastState(), distributed.AverageMetrics()]])
@pytest.mark.usefixtures("launched")
def test_fit_is_refused(callbacks: list[keras.callbacks.Callback]) -> None:
    model = compiled(distributed.DistributedOptimizer(keras.optimizers.SGD(0.1)))
    with pytest.raises(UserError, match=ERROR):
        model.fit(X, Y, callbacks=callbacks, verbose=0)


@pytest.mark.usefixtures("launched")
def test_a_plain_optimizer_with_the_callbacks_is_refused() -> None:
    with pytest.raises(UserError, match=ERROR):
        compiled(keras.optimizers.SGD(0.1)).fit(X, Y, callbacks=[distributed.BroadcastState()], verbose=0)


@pytest.mark.usefixtures("launched")
def test_replicas_and_averaged_evaluation_are_refused() -> None:
    model = compiled(distributed.DistributedOptimizer(keras.optimizers.SGD(0.1)))
    with pytest.raises(UserError, match=ERROR):
        distributed.Replicas(model, model.optimizer)
    with pytest.raises(UserError, match=ERROR):
        model.evaluate(X, Y, callbacks=[distributed.AverageMetrics()], verbose=0)


@pytest.mark.usefixtures("launched")
def test_ranks_may_train_separate_models_on_purpose() -> None:
    separate = distributed.DistributedOptimizer(keras.optimizers.SGD(0.1), world=distributed.SingleWorld())
    compiled(separate).fit(X, Y, callbacks=[distributed.BroadcastState()], verbose=0)


def test_one_rank_needs_no_init(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOROVOD_RANK", "0")
    monkeypatch.setenv("HOROVOD_SIZE", "1")
    distributed.set_current_world(WORLD_BEFORE_INIT)
    compiled(distributed.DistributedOptimizer(keras.optimizers.SGD(0.1))).fit(X, Y, verbose=0)
