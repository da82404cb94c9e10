"""A training loop that is written with ``tf.GradientTape``, without ``compile`` and ``fit``."""

import keras
import numpy as np
import tensorflow as tf

from tfdl import distributed


def train(world):
    random = np.random.default_rng(3)
    x = random.normal(size=(64, 6)).astype(keras.config.floatx())
    y = (x[:, 0] > x[:, 1]).astype("int64")
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(2)])
    optimizer = distributed.DistributedOptimizer(keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True))
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    accuracy = keras.metrics.SparseCategoricalAccuracy()
    samples = tf.data.Dataset.from_tensor_slices((x, y)).shard(world.size, world.rank)
    batches = samples.batch(16 // world.size)

    @tf.function
    def train_step(inputs, labels):
        with tf.GradientTape() as tape:
            logits = model(inputs, training=True)
            loss = loss_fn(labels, logits)
        gradients = tape.gradient(loss, model.trainable_weights)
        optimizer.apply(gradients, model.trainable_weights)
        accuracy.update_state(labels, logits)
        return loss

    replicas = distributed.Replicas(model, optimizer, check_every=5)
    replicas.broadcast(steps=len(batches))
    step = 0
    losses = []
    for _ in range(5):
        for inputs, labels in batches:
            loss = train_step(inputs, labels)
            step += 1
            replicas.check(step)
        losses.append(float(world.all_reduce(loss)) / world.size)
    replicas.finish(step)
    return model, {"loss": losses}
