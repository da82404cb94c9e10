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
group_number = world.rank // 2
group = world.subset(GROUPS[group_number])
x = np.random.default_rng(group_number).normal(size=(32, 3))
y = x[:, :1] * (1 + group_number)


def train(rank: int, size: int) -> tuple[keras.Model, list[float]]:
    """Trains a wide model in one group, a deep one with synchronized statistics in the other.

    Args:
        rank: The number of this rank in its group.
        size: The number of ranks that share a batch.
    """
    if group_number == 0:
        hidden = [keras.layers.Dense(16, "tanh")]
    else:
        hidden = [keras.layers.Dense(3), BatchNormalization(synchronized=True)]
    model = keras.Sequential([keras.Input((3,)), *hidden, keras.layers.Dense(1)])
    model.compile(distributed.DistributedOptimizer(keras.optimizers.Adam(0.01)), loss="mse")
    history = model.fit(
        x[rank::size], y[rank::size], batch_size=8 // size, epochs=2 + group_number, shuffle=False, verbose=0,
        callbacks=[distributed.BroadcastState(), distributed.SyncCheck(3), distributed.AverageMetrics()],
    )  # fmt: skip
    return model, history.history["loss"]


distributed.set_current_world(group)
model, losses = train(group.rank, group.size)
weights = [np.asarray(weight) for weight in model.weights]
are_equal = True
for theirs in group.all_gather_object(weights):
    are_equal &= all(np.array_equal(a, b) for a, b in zip(weights, theirs, strict=True))

# The same model again, on each group's first rank only, from the same seed.
distributed.set_current_world(distributed.SingleWorld())
largest_difference = 0.0
if group.is_chief:
    keras.utils.set_random_seed(world.rank)
    reference, expected_losses = train(0, 1)
    differences = [float(np.abs(a - b).max()) for a, b in zip(reference.weights, weights, strict=True)]
    differences += [abs(a - b) for a, b in zip(losses, expected_losses, strict=True)]
    largest_difference = max(differences)

# An optimizer with an explicit World, while the job's World is the current one.
distributed.set_current_world(world)
optimizer = distributed.DistributedOptimizer(keras.optimizers.SGD(1.0), world=group)
network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
distributed.Replicas(network, optimizer).broadcast()
optimizer.apply([tf.constant([[float(world.rank)]], tf.float64)])
kernel = float(network.weights[0][0, 0])
try:
    world.subset(GROUPS[1 - group_number])
    refusal = ""
except UserError as error:
    refusal = str(error)
numbers = tf.constant([world.rank + 1.0])
with tf.GradientTape() as tape:
    tape.watch(numbers)
    # Losses differ by rank: each sum over a group is another number.
    loss = tf.reduce_sum(group.broadcast(numbers, root=1) + group.all_gather(numbers)) * (world.rank + 1)
gradient = float(tape.gradient(loss, numbers)[0])
results = {
    "group": [group.rank, group.size, group.is_chief],
    "sum": float(group.all_reduce(tf.constant(world.rank + 0.0))),
    "gathered": np.asarray(group.all_gather(tf.constant([world.rank]))).tolist(),
    "broadcast": [int(group.broadcast(tf.constant(world.rank), root=root)) for root in (0, 1)],
    "gradient": gradient,
    "equal": are_equal,
    "difference_from_one": largest_difference,
    "kernel_after_a_step": kernel,
    "refusal": refusal,
    "whole": float(world.all_reduce(tf.constant(1.0))),
}
results_by_rank = world.all_gather_object(results)
if world.is_chief:
    print(json.dumps(results_by_rank), flush=True)
