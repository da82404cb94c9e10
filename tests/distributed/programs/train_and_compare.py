"""Trains a small Keras model on two ranks that see different data, and prints whether the ranks end equal.

It trains twice: with Horovod's own Keras wrapper (the control), and with tfdl.
"""

import json
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tfdl import distributed
from tfdl.runs import weights_sha256


def build() -> keras.Model:
    return keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(3)])


def data(rank: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(rank)
    inputs = generator.normal(size=(64, 8)).astype("float32")
    labels = generator.integers(0, 3, 64)
    return inputs, labels


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
        gradients = distributed.reduce_gradients(gradients, len(labels), world)
        optimizer.apply(gradients, model.trainable_variables)

    for _ in range(5):
        step()


def train_with_horovod_keras(world: distributed.World, model: keras.Model) -> None:
    import horovod.tensorflow.keras as horovod

    optimizer = horovod.DistributedOptimizer(keras.optimizers.Adam(0.01))
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    inputs, labels = data(world.rank)
    model.fit(inputs, labels, batch_size=64, epochs=5, verbose=0)


def compare_ranks(world: distributed.World, train: Callable[[distributed.World, keras.Model], None]) -> str:
    keras.utils.set_random_seed(0)
    model = build()
    train(world, model)
    digests = world.all_gather_object(weights_sha256(model))
    return "equal" if len(set(digests)) == 1 else "different"


def main() -> None:
    results = {}
    # The control is first: after ``distributed.init()``, ``fit`` would refuse to train with Horovod's wrapper.
    horovod_world = distributed.HorovodWorld("horovodrun", 2)
    results["horovod-keras"] = compare_ranks(horovod_world, train_with_horovod_keras)
    world = distributed.init()
    results["tfdl"] = compare_ranks(world, train_with_tfdl)
    if world.is_chief:
        print(json.dumps(results), flush=True)


main()
