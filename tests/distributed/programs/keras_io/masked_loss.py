"""Two outputs: tags of texts of unequal lengths, masked, and a target whose loss divides by the samples' weights."""

import keras
import numpy as np

from tfdl import distributed


def train(world):
    random = np.random.default_rng(7)
    texts = random.integers(1, 9, (48, 6))
    # One rank's texts have 1 or 2 words, the other's 6.
    lengths = np.where(np.arange(48) % 2, random.integers(1, 3, 48), 6)
    texts[np.arange(6) >= lengths[:, None]] = 0
    totals = texts.sum(axis=1, keepdims=True) / 20
    weights = np.where(np.arange(48) % 2, 0.1, 3.0)

    inputs = keras.Input((6,), dtype="int32")
    words = keras.layers.Embedding(9, 4, mask_zero=True)(inputs)
    states = keras.layers.GRU(5, return_sequences=True)(words)
    tags = keras.layers.Dense(9, activation="softmax", name="tags")(states)
    total = keras.layers.Dense(1, name="total")(keras.layers.GlobalAveragePooling1D()(states))
    model = keras.Model(inputs, {"tags": tags, "total": total})
    model.compile(
        distributed.DistributedOptimizer(keras.optimizers.SGD(0.3)),
        loss={
            "tags": "sparse_categorical_crossentropy",
            "total": keras.losses.MeanSquaredError(reduction="mean_with_sample_weight"),
        },
        loss_weights={"tags": 1.0, "total": 0.5},
    )
    mine = slice(world.rank, None, world.size)
    history = model.fit(
        texts[mine],
        {"tags": texts[mine], "total": totals[mine]},
        sample_weight={"tags": np.ones(48)[mine, None] * np.ones(6), "total": weights[mine]},
        batch_size=12 // world.size,
        epochs=3,
        shuffle=False,
        callbacks=[distributed.BroadcastState(), distributed.SyncCheck(2), distributed.AverageMetrics()],
        verbose=0,
    )
    return model, history.history
