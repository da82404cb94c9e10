"""A subclassed model with its own ``train_step``, loss tracker and metric."""

import keras
import numpy as np
import tensorflow as tf

from tfdl import distributed


@keras.saving.register_keras_serializable()
class Regression(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = keras.layers.Dense(8, activation="tanh")
        self.out = keras.layers.Dense(1)
        self.unused = self.add_weight(shape=(3,), name="unused")  # has no gradient
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.error = keras.metrics.MeanAbsoluteError(name="error")

    def call(self, inputs):
        return self.out(self.hidden(inputs))

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            predictions = self(x, training=True)
            loss = tf.reduce_mean(tf.square(y - predictions))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        self.loss_tracker.update_state(loss)
        self.error.update_state(y, predictions)
        return {"loss": self.loss_tracker.result(), "error": self.error.result()}

    @property
    def metrics(self):
        return [self.loss_tracker, self.error]


def train(world):
    random = np.random.default_rng(1)
    x = random.normal(size=(64, 5)).astype(keras.config.floatx())
    y = np.sin(x.sum(axis=1, keepdims=True))
    model = Regression()
    optimizer = keras.optimizers.Adam(1e-2, global_clipnorm=0.1)
    model.compile(optimizer=distributed.DistributedOptimizer(optimizer))
    samples = tf.data.Dataset.from_tensor_slices((x, y)).shard(world.size, world.rank)
    history = model.fit(
        samples.batch(16 // world.size),
        epochs=5,
        callbacks=[distributed.BroadcastState(), distributed.SyncCheck(5), distributed.AverageMetrics()],
        verbose=world.is_chief,
    )
    return model, history.history
