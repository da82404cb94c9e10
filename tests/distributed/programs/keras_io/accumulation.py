"""Accumulated gradients over three fits, which all begin between two updates."""

import keras
import numpy as np

from tfdl import distributed


def train(world):
    random = np.random.default_rng(6)
    x = random.normal(size=(80, 5)).astype(keras.config.floatx())
    y = np.sin(x.sum(axis=1, keepdims=True))
    model = keras.Sequential([keras.layers.Dense(6, "tanh"), keras.layers.Dense(1)])
    optimizer = keras.optimizers.RMSprop(1e-2, gradient_accumulation_steps=4, momentum=0.5)
    model.compile(distributed.DistributedOptimizer(optimizer), loss="mse")
    losses = []
    for _ in range(3):  # 5 steps each
        callbacks = [distributed.BroadcastState(), distributed.SyncCheck(2), distributed.AverageMetrics()]
        mine = x[world.rank :: world.size], y[world.rank :: world.size]
        history = model.fit(*mine, batch_size=16 // world.size, shuffle=False, callbacks=callbacks, verbose=0)
        losses += history.history["loss"]
    return model, {"loss": losses}
