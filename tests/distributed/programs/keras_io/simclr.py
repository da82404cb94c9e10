"""Contrastive learning of an encoder, and a linear probe of its features, with an optimizer each.

Every sample is compared with the samples of all ranks. ``world.all_gather`` has a gradient, so several ranks compute
the gradient of the whole batch.
"""

import keras
import numpy as np
import tensorflow as tf

from tfdl import distributed


class ContrastiveModel(keras.Model):
    def __init__(self, world, temperature=0.5):
        super().__init__()
        self.world = world
        self.temperature = temperature
        self.encoder = keras.Sequential(
            [
                keras.layers.Conv2D(4, 3, strides=2, activation="relu"),
                keras.layers.Flatten(),
                keras.layers.Dense(6, activation="relu"),
            ]
        )
        self.projection_head = keras.Sequential([keras.layers.Dense(6, activation="relu"), keras.layers.Dense(4)])
        self.linear_probe = keras.layers.Dense(2)
        self.contrastive_loss = keras.metrics.Mean(name="c_loss")
        self.contrastive_accuracy = keras.metrics.SparseCategoricalAccuracy(name="c_acc")
        self.probe_loss = keras.metrics.Mean(name="p_loss")
        self.probe_accuracy = keras.metrics.SparseCategoricalAccuracy(name="p_acc")

    @property
    def metrics(self):
        return [self.contrastive_loss, self.contrastive_accuracy, self.probe_loss, self.probe_accuracy]

    def compile(self, contrastive_optimizer, probe_optimizer):
        super().compile()
        self.contrastive_optimizer = contrastive_optimizer
        self.probe_optimizer = probe_optimizer
        self.loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def compare(self, queries, keys):
        """The loss of finding, for each query of this rank, its key among the keys of all ranks."""
        count = tf.shape(queries)[0]
        similarities = tf.matmul(queries, self.world.all_gather(keys), transpose_b=True) / self.temperature
        partners = self.world.rank * count + tf.range(count)
        self.contrastive_accuracy.update_state(partners, similarities)
        return self.loss_fn(partners, similarities)

    def train_step(self, data):
        (first_view, second_view, images), labels = data
        with tf.GradientTape() as tape:
            features = [self.encoder(view, training=True) for view in (first_view, second_view)]
            first, second = [tf.math.l2_normalize(self.projection_head(x, training=True), axis=1) for x in features]
            loss = (self.compare(first, second) + self.compare(second, first)) / 2
        weights = self.encoder.trainable_weights + self.projection_head.trainable_weights
        gradients = tape.gradient(loss, weights)
        self.contrastive_optimizer.apply_gradients(zip(gradients, weights, strict=True))
        self.contrastive_loss.update_state(loss)

        features = self.encoder(images, training=False)
        with tf.GradientTape() as tape:
            logits = self.linear_probe(features, training=True)
            probe_loss = self.loss_fn(labels, logits)
        gradients = tape.gradient(probe_loss, self.linear_probe.trainable_weights)
        self.probe_optimizer.apply_gradients(zip(gradients, self.linear_probe.trainable_weights, strict=True))
        self.probe_loss.update_state(probe_loss)
        self.probe_accuracy.update_state(labels, logits)
        return {metric.name: metric.result() for metric in self.metrics}


def train(world):
    random = np.random.default_rng(10)
    images = random.normal(size=(48, 7, 7, 1)).astype(keras.config.floatx())
    first_view = images + 0.1 * random.normal(size=images.shape)
    second_view = images[:, :, ::-1] + 0.1 * random.normal(size=images.shape)
    labels = (images.mean(axis=(1, 2, 3)) > 0).astype("int64")
    mine = slice(world.rank, None, world.size)
    model = ContrastiveModel(world)
    model.compile(
        contrastive_optimizer=distributed.DistributedOptimizer(keras.optimizers.Adam(1e-2)),
        probe_optimizer=distributed.DistributedOptimizer(keras.optimizers.Adam(2e-2)),
    )
    history = model.fit(
        (first_view[mine], second_view[mine], images[mine]),
        labels[mine],
        batch_size=16 // world.size,
        epochs=4,
        shuffle=False,
        callbacks=[distributed.BroadcastState(), distributed.SyncCheck(5), distributed.AverageMetrics()],
        verbose=2 if world.is_chief else 0,
    )
    return model, history.history
