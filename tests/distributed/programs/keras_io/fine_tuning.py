"""Fine-tuning in two stages. The base is used twice, and is frozen in the first stage.

It has synchronized batch normalization; the optimizer averages the weights.
"""

import keras
import numpy as np

from tfdl import distributed
from tfdl.layers import BatchNormalization


def train(world):
    random = np.random.default_rng(4)
    left, right = random.normal(size=(2, 48, 6)).astype(keras.config.floatx())
    same = (np.sign(left[:, :1]) == np.sign(right[:, :1])).astype(keras.config.floatx())
    mine = slice(world.rank, None, world.size)
    base = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(8, "tanh"), BatchNormalization(synchronized=True, momentum=0.9)]
    )
    inputs = [keras.Input((6,)), keras.Input((6,))]
    product = keras.layers.Multiply()([base(inputs[0]), base(inputs[1])])
    model = keras.Model(inputs, keras.layers.Dense(1)(product))
    history = []
    for stage, rate in enumerate([1e-1, 1e-2]):
        base.trainable = stage == 1
        optimizer = keras.optimizers.SGD(rate, momentum=0.9, clipvalue=0.05, use_ema=True, ema_momentum=0.9)
        model.compile(
            optimizer=distributed.DistributedOptimizer(optimizer),
            loss=keras.losses.BinaryCrossentropy(from_logits=True),
            steps_per_execution=1 + stage,
        )
        fitted = model.fit(
            [left[mine], right[mine]],
            same[mine],
            batch_size=8 // world.size,
            epochs=3,
            shuffle=False,
            callbacks=[distributed.BroadcastState(), distributed.SyncCheck(5), distributed.AverageMetrics()],
            verbose=2 if world.is_chief else 0,
        )
        history += fitted.history["loss"]
    return model, {"loss": history}
