"""Gradients that an optimizer accumulates between two updates: each rank has its own, until they are averaged."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfdl.distributed.world import World


def accumulators(optimizer: Any) -> list[Any]:
    """The variables with the gradients of this rank's steps since the last update.

    An optimizer that passes gradients on (``LossScaleOptimizer``, ``MultiOptimizer``) averages them at every step, so
    what its inner optimizers accumulate is the same on all ranks, and is not listed.
    """
    return [variable for variable in getattr(optimizer, "_accumulated_gradients", []) if variable is not None]


def shared_slots(optimizer: Any) -> list[Any]:
    """The optimizer's variables that are equal on all ranks: all but the accumulators."""
    own = {id(variable) for variable in accumulators(optimizer)}
    return [variable for variable in optimizer.variables if id(variable) not in own]


def are_at_one_step(optimizers: Sequence[Any], world: World) -> bool:
    """Whether the optimizers have done equally many steps on all ranks.

    Then each rank keeps what it has accumulated when a second ``fit`` begins between two updates. Otherwise (rank 0
    alone has loaded a checkpoint) the accumulators belong to different weights, and all ranks must get rank 0's.

    Args:
        optimizers: each from ``DistributedOptimizer``.
        world: the ranks.
    """
    # `optimizer.iterations` counts updates, and `_iterations` the steps between them too.
    everyone = world.all_gather_object([int(np.asarray(optimizer._iterations)) for optimizer in optimizers])
    return all(of_rank == everyone[0] for of_rank in everyone)
