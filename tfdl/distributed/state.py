"""One state on all ranks: it is broadcast after build or restore, and then each rank gets its own random streams."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.distributed.world import World

# A large odd number: rank 0 keeps its seed, and the seeds of a job's ranks are far apart.
_RANK_STRIDE = 0x9E3779B1

# Large compared with the fixed cost of a collective, small compared with a large model.
_BUCKET_BYTES = 64 * 2**20


def broadcast_state(
    variables: Sequence[Any], world: World, root: int = 0, *, bucket_bytes: int = _BUCKET_BYTES
) -> None:
    """Copies rank ``root``'s variables to all ranks, as bytes, whatever their dtypes.

    They are sent in buckets, so the broadcast needs the memory of one bucket or of the largest variable, and no message
    comes near the limit of 2^31 bytes that transports have.

    Args:
        variables: Keras or TensorFlow variables, the same ones in the same order on all ranks.
        world: the ranks.
        root: the rank whose values are copied.
        bucket_bytes: the size of one collective in bytes; a larger variable needs several.
    """
    if world.size == 1:
        return
    for bucket in _buckets(variables, bucket_bytes):
        values = [np.asarray(variable, order="C") for variable in bucket]
        # reshape before view: a scalar has no axis to view as bytes.
        packed = np.concatenate([value.reshape(-1).view(np.uint8) for value in values])
        _broadcast_bytes(packed, world, root, bucket_bytes)
        ends = np.cumsum([value.nbytes for value in values])
        parts = np.split(packed, ends[:-1])
        for variable, value, part in zip(bucket, values, parts, strict=True):
            variable.assign(np.frombuffer(part.tobytes(), value.dtype).reshape(value.shape))


def _broadcast_bytes(data: np.ndarray, world: World, root: int, bucket_bytes: int) -> None:
    """Replaces the bytes by rank ``root``'s, in pieces of at most ``bucket_bytes``."""
    for begin in range(0, data.size, bucket_bytes):
        piece = data[begin : begin + bucket_bytes]
        piece[:] = np.asarray(world.broadcast(tf.constant(piece), root))


def _buckets(variables: Sequence[Any], bucket_bytes: int) -> Iterator[list[Any]]:
    """Consecutive variables of at most ``bucket_bytes`` together. A larger variable has its own bucket."""
    bucket: list[Any] = []
    filled_bytes = 0
    for variable in variables:
        size = math.prod(variable.shape) * tf.as_dtype(variable.dtype).size
        if bucket and filled_bytes + size > bucket_bytes:
            yield bucket
            bucket = []
            filled_bytes = 0
        bucket.append(variable)
        filled_bytes += size
    if bucket:
        yield bucket


def fold_rank_into_seeds(seed_generators: Sequence[Any], rank: int) -> None:
    """Gives each rank its own random streams (dropout), after all ranks got the same ones. Rank 0's do not change.

    Args:
        seed_generators: the model's ``keras.random.SeedGenerator`` objects, whose state is ``[seed, counter]``.
        rank: this process's rank. A negative rank undoes the change.
    """
    for generator in seed_generators:
        seed, counter = np.asarray(generator.state).tolist()
        rank_seed = (seed + rank * _RANK_STRIDE) % 2**32
        generator.state.assign(np.array([rank_seed, counter], generator.state.dtype))


def seed_generators(model: Any) -> list[Any]:
    """Returns the random streams of a model and its layers (dropout and the like), each once, in a fixed order."""
    generators = [generator for layer in model._flatten_layers() for generator in layer._seed_generators]
    unique = {id(generator): generator for generator in generators}
    return list(unique.values())
