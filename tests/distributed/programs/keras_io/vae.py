"""A variational autoencoder: its ``train_step`` has two losses, and the model has no ``call``.

The noise comes with the images, so that it is the same on any number of ranks.
"""

import keras
import numpy as np
import tensorflow as tf

from tfdl import distributed

LATENT = 2


class VAE(keras.Model):
    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.reconstruction_tracker = keras.metrics.Mean(name="reconstruction_loss")
        self.kl_tracker = keras.metrics.Mean(name="kl_loss")

    @property
    def metrics(self):
        return [self.loss_tracker, self.reconstruction_tracker, self.kl_tracker]

    def train_step(self, data):
        images, noise = data
        with tf.GradientTape() as tape:
            mean, log_variance = self.encoder(images)
            latent = mean + tf.exp(0.5 * log_variance) * noise
            errors = keras.losses.binary_crossentropy(images, self.decoder(latent))  # (batch, height, width)
            reconstruction_loss = tf.reduce_mean(tf.reduce_sum(errors, axis=(1, 2)))
            kl = -0.5 * (1 + log_variance - tf.square(mean) - tf.exp(log_variance))
            kl_loss = tf.reduce_mean(tf.reduce_sum(kl, axis=1))
            loss = reconstruction_loss + kl_loss
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        self.loss_tracker.update_state(loss)
        self.reconstruction_tracker.update_state(reconstruction_loss)
        self.kl_tracker.update_state(kl_loss)
        return {metric.name: metric.result() for metric in self.metrics}


def train(world):
    random = np.random.default_rng(9)
    images = random.uniform(size=(48, 8, 8, 1)).astype(keras.config.floatx())
    images[::2] **= 3  # one rank's images are darker
    noise = random.normal(size=(48, LATENT)).astype(keras.config.floatx())
    mine = slice(world.rank, None, world.size)

    image = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(image)
    x = keras.layers.Flatten()(x)
    mean = keras.layers.Dense(LATENT, name="mean")(x)
    log_variance = keras.layers.Dense(LATENT, name="log_variance")(x)
    encoder = keras.Model(image, [mean, log_variance])
    decoder = keras.Sequential(
        [
            keras.Input((LATENT,)),
            keras.layers.Dense(4 * 4 * 4, activation="relu"),
            keras.layers.Reshape((4, 4, 4)),
            keras.layers.Conv2DTranspose(1, 3, strides=2, padding="same", activation="sigmoid"),
        ]
    )
    model = VAE(encoder, decoder)
    model.compile(optimizer=distributed.DistributedOptimizer(keras.optimizers.Adam(1e-2)))
    history = model.fit(
        images[mine],
        noise[mine],
        batch_size=16 // world.size,
        epochs=4,
        shuffle=False,
        callbacks=[distributed.BroadcastState(), distributed.SyncCheck(5), distributed.AverageMetrics()],
        verbose=2 if world.is_chief else 0,
    )
    return model, history.history
