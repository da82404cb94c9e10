"""Exercises a real World and prints, on the chief, what each rank saw, as one JSON object."""

import json
from unittest.mock import patch

import keras
import numpy as np
import tensorflow as tf

from tfdl import distributed
from tfdl.distributed.state import fold_rank_into_seeds
from tfdl.distributed.sync_proof import SyncProof
from tfdl.errors import RunError, UserError
from tfdl.layers import BatchNormalization


def whole_batch() -> np.ndarray:
    return np.random.default_rng(0).normal(100.0, 0.5, (7, 3, 3, 4)).astype("float32")


def normalized_shards(world: distributed.World, fused: bool) -> dict[str, object]:
    """Synchronized BatchNormalization on uneven shards, against the plain layer on the whole batch."""
    images = whole_batch()
    mine = slice(0, 5) if world.rank == 0 else slice(5, 7)
    if world.rank > 1:
        mine = slice(7, 7)  # a rank without a sample takes part
    upstream = np.random.default_rng(1).normal(size=images.shape).astype("float32")
    layer, plain = BatchNormalization(synchronized=True), keras.layers.BatchNormalization()
    results = []
    for used, rows in ((layer, mine), (plain, slice(None))):
        inputs = tf.constant(images[rows])
        chosen = patch("tfdl.layers.batch_normalization.kernels_pay", lambda _: fused)
        with tf.GradientTape() as tape, chosen:
            tape.watch(inputs)
            outputs = used(inputs, training=True)
            loss = tf.reduce_sum(outputs * upstream[rows])
        gradient, gamma, beta = tape.gradient(loss, [inputs, used.gamma.value, used.beta.value])
        if used is layer:
            gamma, beta = world.all_reduce(gamma), world.all_reduce(beta)
        results.append(
            [
                outputs if used is layer else outputs[mine],
                gradient if used is layer else gradient[mine],
                gamma,
                beta,
                np.asarray(used.moving_mean),
                np.asarray(used.moving_variance),
            ]
        )
    names = ("outputs", "input_gradient", "gamma_gradient", "beta_gradient", "moving_mean", "moving_variance")
    return {name: _difference(a, b) for name, a, b in zip(names, *results, strict=True)}


def _difference(a: object, b: object) -> float:
    a, b = np.asarray(a), np.asarray(b)
    return float(np.abs(a - b).max()) if a.size else 0.0


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
        # The last rank has a variable more: a digest over all of them must tell that, too.
        count = 1 if world.rank < world.size - 1 else 2
        SyncProof(lambda: [tf.Variable(1.0)] * count, world, every=1).compare(3)
    except RunError as error:
        return str(error)
    return "none"


def clipped_step(world: distributed.World) -> list[float]:
    """Sums of 10, 0 and 0 over 2, 1 and 1 samples: reduced to 10 / 4, and only then clipped to 1."""
    variable = keras.Variable([0.0])
    optimizer = keras.optimizers.SGD(1.0, global_clipnorm=1.0)
    gradient, weight = (tf.constant([10.0]), 2.0) if world.rank == 0 else (tf.constant([0.0]), 1.0)
    (reduced,) = distributed.reduce_gradients([gradient], weight, world)
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
    distributed.broadcast_state(variables, world, bucket_bytes=10)  # less than the first takes
    return [np.asarray(variable).astype("float64").tolist() for variable in variables]


DTYPES = ("float32", "float64", "float16", "bfloat16", "int32", "int64")
LARGE = 30_001  # numbers that are not gathered whole by three ranks, and that three ranks cannot share evenly


def all_reduce_in(dtype: str, world: distributed.World) -> list[bool]:
    """Few numbers and many, in eager code and in a graph; and one alone. 16 bits are added up in 32, and rounded."""
    wide = "float32" if dtype in ("float16", "bfloat16") else dtype
    found = []
    for size in (7, LARGE):
        everyone = tf.cast(np.random.default_rng(0).normal(size=(world.size, size)) * 100, dtype)
        expected = tf.cast(tf.reduce_sum(tf.cast(everyone, wide), 0), dtype)
        for sums in (world.all_reduce(everyone[world.rank]), tf.function(world.all_reduce)(everyone[world.rank])):
            close = tf.abs(tf.cast(sums - expected, "float64")) <= {"float32": 1e-4, "float64": 1e-12}.get(dtype, 0)
            alike = world.all_gather_object(sums.numpy().tobytes())
            found.append(bool(tf.reduce_all(close)) and sums.shape == (size,) and len(set(alike)) == 1)
    one = world.all_reduce(tf.constant(1, dtype))
    return [*found, bool(one == world.size and one.shape == ())]


def traced_names(world: distributed.World) -> list[str]:
    """Of all kinds of collectives in one graph; Horovod's elastic mode and its timeline show them."""

    @tf.function
    def several(mine):
        gathered = world.all_gather(world.broadcast(mine))
        return tf.reduce_sum(gathered) + tf.reduce_sum(
            tf.cast(world.all_reduce(tf.cast(mine, tf.bfloat16)), tf.float32)
        )

    graph = several.get_concrete_function(tf.TensorSpec([LARGE])).graph
    return sorted(op.name for op in graph.get_operations() if op.type.startswith("Horovod"))


def main() -> None:
    world = distributed.init()
    mine = {
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
    everyone = world.all_gather_object(mine)
    if world.is_chief:
        print(json.dumps(everyone), flush=True)


main()
