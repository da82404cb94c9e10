"""A plain Keras 3 script made data-parallel with tfdl's lines. ``keras_script.py CASE`` has one mistake."""

import sys

import keras
import numpy as np

import tfdl

CASE = sys.argv[1]
world = tfdl.distributed.init()
keras.utils.set_random_seed(world.rank)  # every rank starts with different weights: the broadcast must make them equal
if CASE == "float16":
    keras.config.set_dtype_policy("mixed_float16")

random = np.random.default_rng(0)
images = random.normal(size=(96, 8, 8, 1)).astype("float32")
labels = (images.mean(axis=(1, 2, 3)) > 0).astype("int64")
mine = slice(world.rank, None, world.size)
if CASE == "uneven" and world.rank == 1:
    mine = slice(world.rank, 60, world.size)
importance = np.ones(len(labels[mine]))
if CASE == "float16" and world.rank == 1:
    importance *= 1e4  # gradients overflow only on this rank, until the scale has decreased


class Drift(keras.callbacks.Callback):
    """Simulates a bug: one weight of one rank changes a little."""

    def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002
        if batch == 3 and world.rank == 1:
            bias = self.model.layers[-1].bias
            bias.assign(bias + 1e-7)


model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(4, 3, activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Flatten(),
        keras.layers.Dropout(0.1),
        keras.layers.Dense(2),
    ]
)
optimizer = keras.optimizers.Adam(1e-2, global_clipnorm=1.0)
if CASE != "unwrapped":
    optimizer = tfdl.distributed.DistributedOptimizer(optimizer)
model.compile(
    optimizer=optimizer, loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
)
callbacks = [tfdl.distributed.BroadcastState(), tfdl.distributed.SyncCheck(5), tfdl.distributed.AverageMetrics()]
if CASE == "drift":
    callbacks.append(Drift())
if CASE == "unchecked":
    callbacks = [callbacks[0], callbacks[2], Drift()]
history = model.fit(
    images[mine], labels[mine], sample_weight=importance, batch_size=8, epochs=3,
    callbacks=callbacks, verbose=world.is_chief * 2,
    validation_data=(images[mine][: 10 + world.rank], labels[mine][: 10 + world.rank]),
)  # fmt: skip
weights = np.concatenate([np.asarray(weight).ravel() for weight in model.weights])
everyone = world.all_gather_object((weights, history.history))
if world.is_chief:
    predictions = np.argmax(model.predict(images, verbose=0), -1)
    held_out = [number for rank in range(world.size) for number in range(rank, 96, world.size)[: 10 + rank]]
    print("weights", "equal" if all((found == weights).all() for found, _ in everyone) else "different")
    print("metrics", "equal" if all(found == history.history for _, found in everyone) else "different")
    print("accuracy", history.history["val_accuracy"][-1], (predictions == labels)[held_out].mean())
    print("scale", float(model.optimizer.dynamic_scale) if CASE == "float16" else None)
