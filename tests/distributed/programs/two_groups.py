"""Four ranks in two groups that train two different models at the same time; prints each rank's results as JSON."""

import json

import keras
import numpy as np
import tensorflow as tf

from tfdl import distributed
from tfdl.errors import UserError
from tfdl.layers import BatchNormalization

GROUPS = [[0, 1], [2, 3]]
world = distributed.init(subsets=GROUPS)
keras.utils.set_random_seed(world.rank)
keras.config.set_floatx("float64")
which = world.rank // 2
group = world.subset(GROUPS[which])
x = np.random.default_rng(which).normal(size=(32, 3))
y = x[:, :1] * (1 + which)


def train(rank: int, size: int) -> tuple[keras.Model, list[float]]:
    """A wide model in one group, a deep one with synchronized statistics in the other."""
    hidden = (
        [keras.layers.Dense(16, "tanh")]
        if which == 0
        else [keras.layers.Dense(3), BatchNormalization(synchronized=True)]
    )
    model = keras.Sequential([keras.Input((3,)), *hidden, keras.layers.Dense(1)])
    model.compile(distributed.DistributedOptimizer(keras.optimizers.Adam(0.01)), loss="mse")
    history = model.fit(
        x[rank::size], y[rank::size], batch_size=8 // size, epochs=2 + which, shuffle=False, verbose=0,
        callbacks=[distributed.BroadcastState(), distributed.SyncCheck(3), distributed.AverageMetrics()],
    )  # fmt: skip
    return model, history.history["loss"]


distributed.set_current_world(group)
model, losses = train(group.rank, group.size)
weights = [np.asarray(weight) for weight in model.weights]
equal = all(
    all(np.array_equal(a, b) for a, b in zip(weights, theirs, strict=True))
    for theirs in group.all_gather_object(weights)
)

# The same model again, on each group's first rank only, from the same seed.
distributed.set_current_world(distributed.SingleWorld())
alone = 0.0
if group.is_chief:
    keras.utils.set_random_seed(world.rank)
    reference, expected = train(0, 1)
    alone = max(float(np.abs(a - b).max()) for a, b in zip(reference.weights, weights, strict=True))
    alone = max(alone, *(abs(a - b) for a, b in zip(losses, expected, strict=True)))

# An optimizer with an explicit World, while the job's World is the current one.
distributed.set_current_world(world)
variable = keras.Variable([float(world.rank)])
told = distributed.DistributedOptimizer(keras.optimizers.SGD(1.0), world=group)
net = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
distributed.Replicas(net, told).broadcast()
told.apply([tf.constant([[float(world.rank)]], tf.float64)])
stepped = float(net.weights[0][0, 0])
try:
    world.subset(GROUPS[1 - which])
    refused = ""
except UserError as error:
    refused = str(error)
mine = {
    "group": [group.rank, group.size, group.is_chief],
    "sum": float(group.all_reduce(tf.constant(world.rank + 0.0))),
    "gathered": np.asarray(group.all_gather(tf.constant([world.rank]))).tolist(),
    "broadcast": [int(group.broadcast(tf.constant(world.rank), root=root)) for root in (0, 1)],
    "equal": equal,
    "from_alone": alone,
    "stepped": stepped,
    "refused": refused,
    "whole": float(world.all_reduce(tf.constant(1.0))),
}
everyone = world.all_gather_object(mine)
if world.is_chief:
    print(json.dumps(everyone), flush=True)
