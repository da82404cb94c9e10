"""One state on every rank: broadcast after build or restore, then random streams of each rank's own."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.distributed.world import World

# A large odd number, so that rank 0 keeps its seed and no two ranks of a job come near each other.
_RANK_STRIDE = 0x9E3779B1

# Large beside the fixed cost of a collective, small beside a large model.
_BUCKET_BYTES = 64 * 2**20


def broadcast_state(
    variables: Sequence[Any], world: World, root: int = 0, *, bucket_bytes: int = _BUCKET_BYTES
) -> None:
    """Copies rank ``root``'s variables to every rank, whatever their dtypes, as bytes.

    They travel in buckets, so that the memory this takes is that of a bucket or of the largest variable, and no message
    comes near the 2^31 bytes that transports can count.

    Args:
        variables: Keras or TensorFlow variables, the same ones in the same order on every rank.
        world: the ranks.
        root: the rank whose values win.
        bucket_bytes: the size of one collective; a larger variable takes several.
    """
    if world.size == 1:
        return
    for bucket in _buckets(variables, bucket_bytes):
        values = [np.asarray(variable, order="C") for variable in bucket]
        # reshape before view: a scalar has no axis to view as bytes.
        packed = np.concatenate([value.reshape(-1).view(np.uint8) for value in values])
        for begin in range(0, packed.size, bucket_bytes):
            part = packed[begin : begin + bucket_bytes]
            part[:] = np.asarray(world.broadcast(tf.constant(part), root))
        ends = np.cumsum([value.nbytes for value in values])
        for variable, value, part in zip(bucket, values, np.split(packed, ends[:-1]), strict=True):
            variable.assign(np.frombuffer(part.tobytes(), value.dtype).reshape(value.shape))


def _buckets(variables: Sequence[Any], bucket_bytes: int) -> Iterator[list[Any]]:
    """Consecutive variables of at most ``bucket_bytes`` together; a larger one is alone."""
    bucket: list[Any] = []
    filled = 0
    for variable in variables:
        size = math.prod(variable.shape) * tf.as_dtype(variable.dtype).size
        if bucket and filled + size > bucket_bytes:
            yield bucket
            bucket, filled = [], 0
        bucket.append(variable)
        filled += size
    if bucket:
        yield bucket


def fold_rank_into_seeds(seed_generators: Sequence[Any], rank: int) -> None:
    """Gives each rank random streams of its own (dropout) from one broadcast state; rank 0 keeps its own.

    Args:
        seed_generators: the model's ``keras.random.SeedGenerator`` objects, whose state is ``[seed, counter]``.
        rank: this process's rank.
    """
    for generator in seed_generators:
        seed, counter = np.asarray(generator.state).tolist()
        generator.state.assign(np.array([(seed + rank * _RANK_STRIDE) % 2**32, counter], generator.state.dtype))


def seed_generators(model: Any) -> list[Any]:
    """The random streams of a model and of its layers (dropout and the like), each once, in a fixed order."""
    found = [generator for layer in model._flatten_layers() for generator in layer._seed_generators]
    return list({id(generator): generator for generator in found}.values())
