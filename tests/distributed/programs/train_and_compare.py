"""Trains a small Keras model on two ranks that see different data, and prints whether the ranks end equal.

The argument says who keeps them together: ``tfdl``, or ``horovod-keras``, Horovod's own Keras wrapper (the control).
"""

import sys

import keras
import numpy as np
import tensorflow as tf

from tfdl import distributed
from tfdl.runs import weights_sha256


def build() -> keras.Model:
    return keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(3)])


def data(rank: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(rank)
    return generator.normal(size=(64, 8)).astype("float32"), generator.integers(0, 3, 64)


def train_with_tfdl(world: distributed.World, model: keras.Model) -> None:
    optimizer = keras.optimizers.Adam(0.01)
    optimizer.build(model.trainable_variables)
    distributed.broadcast_state([*model.variables, *optimizer.variables], world)
    inputs, labels = data(world.rank)

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            logits = model(inputs, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
            objective = tf.reduce_sum(losses)
        gradients = tape.gradient(objective, model.trainable_variables)
        optimizer.apply(distributed.reduce_gradients(gradients, len(labels), world), model.trainable_variables)

    for _ in range(5):
        step()


def train_with_horovod_keras(world: distributed.World, model: keras.Model) -> None:
    """Under ``tfdl.distributed.init()``, ``fit`` would refuse it."""
    import horovod.tensorflow.keras as horovod

    optimizer = horovod.DistributedOptimizer(keras.optimizers.Adam(0.01))
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    inputs, labels = data(world.rank)
    model.fit(inputs, labels, batch_size=64, epochs=5, verbose=0)


def main() -> None:
    world = distributed.init() if sys.argv[1] == "tfdl" else distributed.HorovodWorld("horovodrun", 2)
    keras.utils.set_random_seed(0)
    model = build()
    {"tfdl": train_with_tfdl, "horovod-keras": train_with_horovod_keras}[sys.argv[1]](world, model)
    digests = world.all_gather_object(weights_sha256(model))
    if world.is_chief:
        print("equal" if len(set(digests)) == 1 else "different", flush=True)


main()
