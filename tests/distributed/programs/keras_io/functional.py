"""A functional model of an image and a table, trained with ``fit`` and callbacks that monitor the validation loss."""

import keras
import numpy as np

from tfdl import distributed


def decay_in_the_first_epochs(epoch, rate):
    if epoch < 3:
        return rate * 0.9
    return rate


def train(world):
    random = np.random.default_rng(0)
    images = random.normal(size=(64, 8, 8, 1)).astype(keras.config.floatx())
    table = random.normal(size=(64, 3)).astype(keras.config.floatx())
    labels = (images.mean(axis=(1, 2, 3)) + table[:, 0] > 0).astype("int64")
    mine = slice(world.rank, 48, world.size)
    held_out = slice(48 + world.rank, 64, world.size)

    image = keras.Input((8, 8, 1), name="image")
    features = keras.Input((3,), name="table")
    x = keras.layers.Conv2D(4, 3, activation="relu")(image)
    x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Flatten()(x)
    hidden = keras.layers.Dense(4, activation="tanh")(features)
    x = keras.layers.Concatenate()([x, hidden])
    logits = keras.layers.Dense(2)(x)
    model = keras.Model([image, features], logits)

    optimizer = distributed.DistributedOptimizer(keras.optimizers.AdamW(2e-2, weight_decay=1e-2))
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    history = model.fit(
        {"image": images[mine], "table": table[mine]},
        labels[mine],
        batch_size=16 // world.size,
        epochs=12,
        shuffle=False,
        validation_data=({"image": images[held_out], "table": table[held_out]}, labels[held_out]),
        callbacks=[
            distributed.BroadcastState(),
            distributed.SyncCheck(5),
            distributed.AverageMetrics(),
            keras.callbacks.LearningRateScheduler(decay_in_the_first_epochs),
            keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=1),
            keras.callbacks.EarlyStopping(monitor="val_loss", patience=3, restore_best_weights=True),
        ],
        verbose=2 if world.is_chief else 0,
    )
    return model, history.history
