"""Classes of words. The gradient of an embedding is reduced as a whole table, as rows, and as rows of several steps."""

import keras
import numpy as np

from tfdl import distributed

VOCABULARY = 50
# The options of each training: those of the distributed optimizer, and those of Keras's.
TRAININGS = {
    "tables": ({}, {}),
    "rows": ({"sparse_as_dense": False}, {}),
    "accumulated rows": (
        {"sparse_as_dense": False, "bucket_bytes": 64},
        {"gradient_accumulation_steps": 2, "global_clipnorm": 0.5},
    ),
}


def train(world):
    random = np.random.default_rng(5)
    words = random.integers(0, VOCABULARY, size=(64, 7))
    labels = (words < VOCABULARY // 2).mean(axis=1, keepdims=True).astype(keras.config.floatx())
    mine = slice(world.rank, None, world.size)
    losses = {}
    for name, (distributed_options, options) in TRAININGS.items():
        model = keras.Sequential(
            [
                keras.Input((7,), dtype="int64"),
                keras.layers.Embedding(VOCABULARY, 4),
                keras.layers.GlobalAveragePooling1D(),
                keras.layers.Dense(1),
            ]
        )
        optimizer = keras.optimizers.SGD(0.5, momentum=0.9, **options)
        model.compile(
            optimizer=distributed.DistributedOptimizer(optimizer, **distributed_options),
            loss="mse",
        )
        fitted = model.fit(
            words[mine],
            labels[mine],
            batch_size=16 // world.size,
            epochs=3,
            shuffle=False,
            callbacks=[distributed.BroadcastState(), distributed.SyncCheck(5), distributed.AverageMetrics()],
            verbose=2 if world.is_chief else 0,
        )
        losses[name] = fitted.history["loss"]
    return model, losses
