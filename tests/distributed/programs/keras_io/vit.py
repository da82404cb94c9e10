"""A vision Transformer: patches with learned positions, and a block of attention. ``fit`` holds out samples."""

import keras
import numpy as np

from tfdl import distributed

PATCH = 4
WIDTH = 8


class Patches(keras.layers.Layer):
    def call(self, images):
        patches = keras.ops.image.extract_patches(images, PATCH)  # (batch, rows, columns, pixels)
        return keras.ops.reshape(patches, (-1, patches.shape[1] * patches.shape[2], patches.shape[3]))


class PatchEncoder(keras.layers.Layer):
    def __init__(self, count):
        super().__init__()
        self.count = count
        self.projection = keras.layers.Dense(WIDTH)
        self.position = keras.layers.Embedding(count, WIDTH)

    def call(self, patches):
        return self.projection(patches) + self.position(keras.ops.arange(self.count))


def build_model(classes):
    inputs = keras.Input((8, 8, 3))
    patches = Patches()(inputs)
    x = PatchEncoder(patches.shape[1])(patches)
    normalized = keras.layers.LayerNormalization(epsilon=1e-6)(x)
    x = x + keras.layers.MultiHeadAttention(num_heads=2, key_dim=WIDTH // 2)(normalized, normalized)
    normalized = keras.layers.LayerNormalization(epsilon=1e-6)(x)
    hidden = keras.layers.Dense(2 * WIDTH, activation="gelu")(normalized)
    x = x + keras.layers.Dense(WIDTH)(hidden)
    x = keras.layers.Flatten()(keras.layers.LayerNormalization(epsilon=1e-6)(x))
    return keras.Model(inputs, keras.layers.Dense(classes)(x))


def train(world):
    random = np.random.default_rng(12)
    images = random.normal(size=(64, 8, 8, 3)).astype(keras.config.floatx())
    labels = np.arange(64) % 3 + np.arange(64) % 2  # 0 to 3
    images[np.arange(64), labels, labels] += 2
    mine = slice(world.rank, None, world.size)
    model = build_model(classes=4)
    model.compile(
        optimizer=distributed.DistributedOptimizer(keras.optimizers.AdamW(1e-2, weight_decay=1e-4)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
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
    return model, history.history
