"""Exercises a real World and prints, on the chief, the results of each rank, as one JSON list.

At last it puts the World through its contract, which fails the job if it is broken.
"""

import json
from unittest.mock import patch

import keras
import numpy as np
import tensorflow as tf

from tests.distributed.world_contract import check_world
from tfdl import distributed
from tfdl.distributed.state import fold_rank_into_seeds
from tfdl.distributed.sync_proof import SyncProof
from tfdl.errors import RunError, UserError
from tfdl.layers import BatchNormalization


def whole_batch() -> np.ndarray:
    return np.random.default_rng(0).normal(100.0, 0.5, (7, 3, 3, 4)).astype("float32")


def normalized_shards(world: distributed.World, fused: bool) -> dict[str, object]:
    """Synchronized BatchNormalization on uneven shards, against the plain layer on the whole batch.

    Args:
        world: The ranks. Ranks 0, 1 and 2 have 5, 2 and 0 images.
        fused: Whether TensorFlow's fused kernels compute the layer.

    Returns:
        The largest difference of the outputs, of each gradient and of each statistic.
    """
    images = whole_batch()
    upstream = np.random.default_rng(1).normal(size=images.shape).astype("float32")  # the gradient by the outputs
    own_rows = [slice(0, 5), slice(5, 7), slice(7, 7)][world.rank]
    shard = _normalized(BatchNormalization(synchronized=True), images[own_rows], upstream[own_rows], fused)
    whole = _normalized(keras.layers.BatchNormalization(), images, upstream, fused)
    for name in ("gamma_gradient", "beta_gradient"):
        shard[name] = world.all_reduce(shard[name])
    for name in ("outputs", "input_gradient"):
        whole[name] = whole[name][own_rows]
    return {name: _difference(value, whole[name]) for name, value in shard.items()}


def _normalized(layer: keras.layers.Layer, images: np.ndarray, upstream: np.ndarray, fused: bool) -> dict[str, object]:
    """A layer's outputs, gradients and statistics after one training step."""
    inputs = tf.constant(images)
    choice = patch("tfdl.layers.batch_normalization.kernels_pay", lambda _: fused)
    with tf.GradientTape() as tape, choice:
        tape.watch(inputs)
        outputs = layer(inputs, training=True)
        loss = tf.reduce_sum(outputs * upstream)
    gradients = tape.gradient(loss, [inputs, layer.gamma.value, layer.beta.value])
    return {
        "outputs": outputs,
        "input_gradient": gradients[0],
        "gamma_gradient": gradients[1],
        "beta_gradient": gradients[2],
        "moving_mean": layer.moving_mean,
        "moving_variance": layer.moving_variance,
    }


def _difference(one: object, other: object) -> float:
    difference = np.abs(np.asarray(one) - np.asarray(other))
    return float(difference.max()) if difference.size else 0.0


def agreed_error(world: distributed.World) -> str:
    try:
        with world.agreement():
            if world.rank == world.size - 1:
                raise UserError("only the last rank knows")
    except UserError as error:
        return str(error)
    return "none"


def drift(world: distributed.World) -> str:
    try:
        # The last rank has one variable more, so the digest over all of them must differ.
        count = 1 if world.rank < world.size - 1 else 2
        proof = SyncProof(lambda: [tf.Variable(1.0)] * count, world, every=1)
        proof.compare(3)
    except RunError as error:
        return str(error)
    return "none"


def clipped_step(world: distributed.World) -> list[float]:
    """Sums of 10, 0 and 0 over 2, 1 and 1 samples: reduced to 10 / 4, and only then clipped to 1."""
    variable = keras.Variable([0.0])
    optimizer = keras.optimizers.SGD(1.0, global_clipnorm=1.0)
    total = 10.0 if world.rank == 0 else 0.0
    num_samples = 2.0 if world.rank == 0 else 1.0
    (reduced,) = distributed.reduce_gradients([tf.constant([total])], num_samples, world)
    optimizer.apply([reduced], [variable])
    return [float(reduced[0]), float(variable[0])]


def seeds(world: distributed.World) -> list[int]:
    generator = keras.random.SeedGenerator(7)
    fold_rank_into_seeds([generator], world.rank)
    return np.asarray(generator.state).tolist()


def broadcast(world: distributed.World) -> list[object]:
    variables = [
        keras.Variable(np.full((2, 3), world.rank + 1.5), dtype="float32"),
        keras.Variable(world.rank + 5, dtype="int64", trainable=False),
        keras.Variable(np.array([world.rank, 2**32 - 1], "uint32"), dtype="uint32", trainable=False),
        keras.Variable(np.full((3,), world.rank + 0.5), dtype="bfloat16"),
        keras.Variable(np.full((0, 4), world.rank), dtype="float32"),
        keras.Variable([True, world.rank > 0], dtype="bool", trainable=False),
    ]
    distributed.broadcast_state(variables, world, bucket_bytes=10)  # smaller than the first variable
    return [np.asarray(variable).astype("float64").tolist() for variable in variables]


DTYPES = ("float32", "float64", "float16", "bfloat16", "int32", "int64")
LARGE = 30_001  # numbers that are not gathered whole by three ranks, and that three ranks cannot share evenly


def all_reduce_in(dtype: str, world: distributed.World) -> list[bool]:
    """Whether sums are right: of 7 numbers and of many, each in eager code and in a graph; and of a scalar.

    Numbers of 16 bits are added in 32 bits, and the sum is rounded.
    """
    wide = "float32" if dtype in ("float16", "bfloat16") else dtype
    tolerance = {"float32": 1e-4, "float64": 1e-12}.get(dtype, 0.0)
    are_right = []
    for size in (7, LARGE):
        by_rank = tf.cast(np.random.default_rng(0).normal(size=(world.size, size)) * 100, dtype)
        expected = tf.cast(tf.reduce_sum(tf.cast(by_rank, wide), 0), dtype)
        mine = by_rank[world.rank]
        for sums in (world.all_reduce(mine), tf.function(world.all_reduce)(mine)):
            errors = tf.abs(tf.cast(sums - expected, "float64"))
            is_close = bool(tf.reduce_all(errors <= tolerance))
            is_equal_on_all_ranks = len(set(world.all_gather_object(sums.numpy().tobytes()))) == 1
            are_right.append(is_close and is_equal_on_all_ranks and sums.shape == (size,))
    scalar = world.all_reduce(tf.constant(1, dtype))
    are_right.append(bool(scalar == world.size and scalar.shape == ()))
    return are_right


def traced_names(world: distributed.World) -> list[str]:
    """The names of all kinds of collectives in one graph. Horovod's elastic mode and its timeline show them."""

    @tf.function
    def several(mine):
        gathered = world.all_gather(world.broadcast(mine))
        summed = world.all_reduce(tf.cast(mine, tf.bfloat16))
        return tf.reduce_sum(gathered) + tf.reduce_sum(tf.cast(summed, tf.float32))

    graph = several.get_concrete_function(tf.TensorSpec([LARGE])).graph
    return sorted(op.name for op in graph.get_operations() if op.type.startswith("Horovod"))


def main() -> None:
    world = distributed.init()
    results = {
        "rank": world.rank,
        "local_rank": world.local_rank,
        "all_reduce": float(world.all_reduce(tf.constant(world.rank + 1.0))),
        "all_reduce_in": {dtype: all_reduce_in(dtype, world) for dtype in DTYPES},
        "all_gather": np.asarray(world.all_gather(tf.fill([world.rank + 1], world.rank))).tolist(),
        "broadcast": int(world.broadcast(tf.constant(world.rank + 3), root=1)),
        "broadcast_object": world.broadcast_object({"from": world.rank}, root=1),
        "broadcast_state": broadcast(world),
        "fused": normalized_shards(world, fused=True),
        "general": normalized_shards(world, fused=False),
        "agreement": agreed_error(world),
        "drift": drift(world),
        "clipped_step": clipped_step(world),
        "seeds": seeds(world),
        "traced_names": traced_names(world),
        "same_world": distributed.init() is world,
    }
    all_results = world.all_gather_object(results)
    if world.is_chief:
        print(json.dumps(all_results), flush=True)
    check_world(world)
    print("contract kept", flush=True)


main()
