"""A plain Keras 3 script made data-parallel with tfdl's lines. ``keras_script.py CASE...`` trains once for each case.

Each case prints its results as lines of JSON. A case with a mistake ends the job, so it is the last one.
"""

import json
import sys

import keras
import numpy as np

import tfdl

world = tfdl.distributed.init()
random = np.random.default_rng(0)
images = random.normal(size=(96, 8, 8, 1)).astype("float32")
labels = (images.mean(axis=(1, 2, 3)) > 0).astype("int64")
own_rows = slice(world.rank, None, world.size)


class Drift(keras.callbacks.Callback):
    """Simulates a bug: one weight of one rank changes a little."""

    def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002
        if batch == 3 and world.rank == 1:
            bias = self.model.layers[-1].bias
            bias.assign(bias + 1e-7)


def train(case):
    # Every rank starts with different weights: the broadcast must make them equal.
    keras.utils.set_random_seed(world.rank)
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
    if case != "unwrapped":
        optimizer = tfdl.distributed.DistributedOptimizer(optimizer)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    callbacks = [tfdl.distributed.BroadcastState(), tfdl.distributed.AverageMetrics()]
    if case != "unchecked":
        callbacks.append(tfdl.distributed.SyncCheck(5))
    if case in ("drift", "unchecked"):
        callbacks.append(Drift())
    held_out = held_out_rows(world.rank)
    history = model.fit(
        images[own_rows], labels[own_rows], batch_size=8, epochs=3,
        callbacks=callbacks, verbose=world.is_chief * 2,
        validation_data=(images[held_out], labels[held_out]),
    )  # fmt: skip
    report(case, model, history.history)


def held_out_rows(rank):
    """A rank validates on its first 10 rows, or one more for each rank before it."""
    rows = np.arange(rank, len(images), world.size)
    return rows[: 10 + rank]


def report(case, model, history):
    weights = np.concatenate([np.asarray(weight).ravel() for weight in model.weights])
    all_weights = world.all_gather_object(weights)
    all_histories = world.all_gather_object(history)
    if world.is_chief:
        predictions = np.argmax(model.predict(images, verbose=0), -1)
        held_out = np.concatenate([held_out_rows(rank) for rank in range(world.size)])
        results = {
            "case": case,
            "equal weights": all((other == weights).all() for other in all_weights),
            "equal metrics": all(other == history for other in all_histories),
            "reported accuracy": history["val_accuracy"][-1],
            "counted accuracy": float((predictions == labels)[held_out].mean()),
        }
        print(json.dumps(results), flush=True)


for case in sys.argv[1:]:
    train(case)
