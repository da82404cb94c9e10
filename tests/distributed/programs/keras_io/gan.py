"""A generator against a discriminator: one ``train_step`` with two optimizers, ``compile`` overridden."""

import keras
import numpy as np
import tensorflow as tf

from tfdl import distributed


class GAN(keras.Model):
    def __init__(self, generator, discriminator):
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator
        self.g_loss = keras.metrics.Mean(name="g_loss")
        self.d_loss = keras.metrics.Mean(name="d_loss")

    @property
    def metrics(self):
        return [self.g_loss, self.d_loss]

    def compile(self, g_optimizer, d_optimizer, loss_fn):
        super().compile()  # Keras makes an RMSprop here, which is not used
        self.g_optimizer = g_optimizer
        self.d_optimizer = d_optimizer
        self.loss_fn = loss_fn

    def train_step(self, data):
        noise, real = data
        fake = self.generator(noise)
        both = tf.concat([fake, real], 0)
        labels = tf.concat([tf.zeros_like(fake[:, :1]), tf.ones_like(real[:, :1])], 0)
        with tf.GradientTape() as tape:
            d_loss = self.loss_fn(labels, self.discriminator(both))
        gradients = tape.gradient(d_loss, self.discriminator.trainable_weights)
        self.d_optimizer.apply_gradients(zip(gradients, self.discriminator.trainable_weights, strict=True))
        with tf.GradientTape() as tape:
            predictions = self.discriminator(self.generator(noise))
            g_loss = self.loss_fn(tf.ones_like(predictions), predictions)
        gradients = tape.gradient(g_loss, self.generator.trainable_weights)
        self.g_optimizer.apply_gradients(zip(gradients, self.generator.trainable_weights, strict=True))
        self.g_loss.update_state(g_loss)
        self.d_loss.update_state(d_loss)
        return {"g_loss": self.g_loss.result(), "d_loss": self.d_loss.result()}


def train(world, wrap=distributed.DistributedOptimizer):
    random = np.random.default_rng(2)
    noise = random.normal(size=(48, 4)).astype(keras.config.floatx())
    real = random.normal(size=(48, 2)).astype(keras.config.floatx()) + 2
    if world.is_chief:
        keras.layers.Dense(1)(keras.Input((1,)))  # from here on Keras's names differ between ranks
    generator = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(2)])
    discriminator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
    model = GAN(generator, discriminator)
    model.compile(
        g_optimizer=wrap(keras.optimizers.Adam(1e-2)),
        d_optimizer=distributed.DistributedOptimizer(keras.optimizers.Adam(2e-2, clipnorm=0.5)),
        loss_fn=keras.losses.BinaryCrossentropy(from_logits=True),
    )
    samples = tf.data.Dataset.from_tensor_slices((noise, real)).shard(world.size, world.rank)
    history = model.fit(
        samples.batch(16 // world.size),
        epochs=4,
        callbacks=[distributed.BroadcastState(), distributed.SyncCheck(5), distributed.AverageMetrics()],
        verbose=2 if world.is_chief else 0,
    )
    return model, history.history
