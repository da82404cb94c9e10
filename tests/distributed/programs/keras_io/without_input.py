"""A ``Sequential`` without ``Input``, within a subclassed model whose ``train_step`` calls its parts, as in SimCLR.

The first step builds all layers. The step returns its loss and a value of its own, and no metric.
"""

import keras
import numpy as np
import tensorflow as tf

from tfdl import distributed


class Encoded(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder = keras.Sequential([keras.layers.Dense(6, "tanh"), keras.layers.Dense(4, "tanh")])
        self.head = keras.layers.Dense(1)

    def call(self, inputs):
        return self.head(self.encoder(inputs))

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            errors = y - self.head(self.encoder(x, training=True))
            loss = tf.reduce_mean(tf.square(errors))
        weights = self.encoder.trainable_weights + self.head.trainable_weights
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return {"loss": loss, "absolute": {"error": tf.reduce_mean(tf.abs(errors))}}

    def test_step(self, data):
        x, y = data
        return {"loss": tf.reduce_mean(tf.square(y - self(x))), "by_target": tf.reduce_mean(tf.abs(y - self(x)), 0)[0]}


def train(world):
    random = np.random.default_rng(5)
    x = random.normal(size=(64, 5)).astype(keras.config.floatx())
    x[1::2] += 1  # the ranks' losses differ
    y = np.sin(x.sum(axis=1, keepdims=True))
    model = Encoded()
    model.compile(distributed.DistributedOptimizer(keras.optimizers.Adam(1e-2)))
    mine = x[world.rank :: world.size], y[world.rank :: world.size]
    history = model.fit(
        *mine,
        batch_size=16 // world.size,
        epochs=6,
        shuffle=False,
        validation_data=mine,
        validation_batch_size=64 // world.size,
        callbacks=[
            distributed.BroadcastState(),
            distributed.SyncCheck(5),
            distributed.AverageMetrics(),
            keras.callbacks.EarlyStopping(monitor="loss", patience=1),
        ],
        verbose=0,
    )
    return model, history.history
