"""A plain Keras script with a fault on rank 1 at step 20: ``faulty_script.py CASE TIMEOUT``.

With the case ``none``, it prints FAULT and nothing else happens.
"""

import sys
import time

import keras
import numpy as np

import tfdl

CASE = sys.argv[1]
world = tfdl.distributed.init(watchdog_timeout=float(sys.argv[2]))


def batches_that_end():
    for number in range(10_000):
        if number == 20 and world.rank == 1:
            print("FAULT", flush=True)
            if CASE == "data":
                time.sleep(1000)
            if CASE == "short":
                return  # fit ends its epoch here, and the other rank is in the middle of its epoch
        yield np.ones((8, 4), "float32"), np.zeros((8, 1), "float32")


class Fault(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002
        if batch == 20 and world.rank == 1:
            if CASE == "leave":
                sys.exit(0)
            if CASE == "raise":
                raise ValueError("not a number")


def fit():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(tfdl.distributed.DistributedOptimizer(keras.optimizers.SGD(0.01)), "mse")
    callbacks = [tfdl.distributed.BroadcastState(), tfdl.distributed.AverageMetrics(), Fault()]
    model.fit(batches_that_end(), steps_per_epoch=1000, epochs=2, callbacks=callbacks, verbose=0)


def diverge():
    for number in range(10_000):
        if number == 20 and world.rank == 1:
            print("FAULT", flush=True)
            broadcast()
        world.all_reduce(np.ones(4, "float32"))


def broadcast():
    world.broadcast(np.ones(4, "float32"))


if CASE == "diverge":
    diverge()
else:
    fit()
