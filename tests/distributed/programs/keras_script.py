"""A plain Keras 3 script made data-parallel with tfdl's lines; prints what the test wants to see."""

import sys

import keras
import numpy as np

import tfdl

CASE = sys.argv[1] if len(sys.argv) > 1 else "plain"
world = tfdl.distributed.init()
keras.utils.set_random_seed(world.rank)  # every rank starts elsewhere: the broadcast must make them one

random = np.random.default_rng(0)
images = random.normal(size=(96, 8, 8, 1)).astype("float32")
labels = (images.mean(axis=(1, 2, 3)) > 0).astype("int64")
mine = slice(world.rank, None, world.size)

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
callbacks = [tfdl.distributed.BroadcastState(), tfdl.distributed.SyncCheck(), tfdl.distributed.AverageMetrics()]
history = model.fit(
    images[mine], labels[mine], batch_size=8, epochs=3, callbacks=callbacks, verbose=world.is_chief * 2,
    validation_data=(images[mine][: 10 + world.rank], labels[mine][: 10 + world.rank]),
)  # fmt: skip
print(history.history)
digest = float(sum(np.abs(np.asarray(w)).sum() for w in model.trainable_weights))
print("weights", world.all_gather_object(digest))
