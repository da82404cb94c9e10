"""One state on every rank: broadcast after build or restore, and compared at the end."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfdl.distributed.world import World
from tfdl.errors import RunError

# A large odd number, so that rank 0 keeps its seed and no two ranks of a job come near each other.
_RANK_STRIDE = 0x9E3779B1


def broadcast_state(variables: Sequence[Any], world: World, root: int = 0) -> None:
    """Copies rank ``root``'s variables to every rank, whatever their dtypes, in one collective of bytes.

    Args:
        variables: Keras or TensorFlow variables, the same ones in the same order on every rank.
        world: the ranks.
        root: the rank whose values win.
    """
    if world.size == 1 or not variables:
        return
    values = [np.asarray(variable, order="C") for variable in variables]
    packed = np.concatenate([np.frombuffer(value.tobytes(), np.uint8) for value in values])
    received = np.asarray(world.broadcast(tf.constant(packed), root))
    ends = np.cumsum([value.nbytes for value in values])
    for variable, value, part in zip(variables, values, np.split(received, ends[:-1]), strict=True):
        variable.assign(np.frombuffer(part.tobytes(), value.dtype).reshape(value.shape))


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
    """The random streams of the model's layers (dropout and the like), in a fixed order."""
    layers = model._flatten_layers(include_self=False)
    found = [value for layer in layers for value in vars(layer).values()]
    return [value for value in found if isinstance(value, keras.random.SeedGenerator)]


def check_equal_digests(digest: str, world: World) -> None:
    """Proves that every rank holds the same weights.

    Raises:
        RunError: names the lowest rank that differs from rank 0.
    """
    digests = world.all_gather_object(digest)
    different = [rank for rank, found in enumerate(digests) if found != digests[0]]
    if different:
        raise RunError(
            f"the ranks' weights differ: rank {different[0]} holds {digests[different[0]][:12]}, rank 0 holds"
            f" {digests[0][:12]}; the run is not one model and its results must not be used"
        )
