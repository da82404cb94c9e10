"""A convnet without ``Input`` and with synchronized batch normalization: the first step builds its layers."""

import keras
import numpy as np

from tfdl import distributed
from tfdl.layers import BatchNormalization


def train(world):
    random = np.random.default_rng(8)
    images = random.normal(size=(64, 8, 8, 1)).astype(keras.config.floatx())
    numbers = np.arange(64) % 3
    images[np.arange(64), 2 * numbers, 2 * numbers] += 3
    labels = keras.utils.to_categorical(numbers, 3)
    mine = slice(world.rank, None, world.size)
    model = keras.Sequential(
        [
            keras.layers.Conv2D(4, 3, use_bias=False),
            BatchNormalization(synchronized=True, momentum=0.9),
            keras.layers.Activation("relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=distributed.DistributedOptimizer(keras.optimizers.Adam(1e-2)),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    history = model.fit(
        images[mine],
        labels[mine],
        batch_size=16 // world.size,
        epochs=3,
        shuffle=False,
        validation_split=0.25,
        callbacks=[distributed.BroadcastState(), distributed.SyncCheck(5), distributed.AverageMetrics()],
        verbose=2 if world.is_chief else 0,
    )
    results = model.evaluate(images[mine], labels[mine], verbose=0, callbacks=[distributed.AverageMetrics()])
    return model, {**history.history, "test": results}
