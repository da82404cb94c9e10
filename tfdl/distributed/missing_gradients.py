"""Finds a variable that has a gradient on some ranks only, before a collective waits for it."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfdl.distributed.world import World
from tfdl.errors import UserError


def compare_together(optimizers: Sequence[Any], of_ranks: Sequence[Sequence[bool]]) -> None:
    """Keeps a rank from comparing its gradients alone: the other ranks would be in a step, and all would hang.

    A rank that has loaded its model after a first ``fit`` has a new optimizer, which has not compared anything. The
    other ranks have traced their step, and will not trace it again.

    Args:
        optimizers: of this rank, from ``DistributedOptimizer``.
        of_ranks: for each rank, whether each of its optimizers has compared its gradients.
    """
    for optimizer, have_compared in zip(optimizers, zip(*of_ranks, strict=False), strict=False):
        optimizer._has_compared_gradients = any(have_compared)


def compare_gradients(gradients: Sequence[Any], variables: Sequence[Any], world: World) -> None:
    """Checks that the same variables have a gradient on all ranks. For every rank to call at its first step.

    Ranks differ here if they have traced different steps: a loss or a layer that depends on the rank, or on a rank's
    own data. In a ``tf.function`` this is done while the step is traced.

    Args:
        gradients: of this rank; ``None`` where the loss does not depend on the variable.
        variables: the variables, in the same order.
        world: the ranks.

    Raises:
        UserError: on all ranks; names the rank and the variable.
    """
    mine = [(variable.path, gradient is not None) for gradient, variable in zip(gradients, variables, strict=False)]
    with tf.init_scope():
        everyone = world.all_gather_object(mine)
    first = everyone[0]
    for rank, found in enumerate(everyone):
        if len(found) != len(first):
            raise UserError(
                f"rank 0 trains {len(first)} variables and rank {rank} trains {len(found)}; freeze the same layers on"
                " every rank"
            )
        for (path, has_gradient), (_, other_has_gradient) in zip(first, found, strict=True):
            if has_gradient != other_has_gradient:
                without = rank if has_gradient else 0
                having = 0 if has_gradient else rank
                raise UserError(
                    f"rank {without} has no gradient of {path}, and rank {having} has one; the loss of every rank must"
                    " depend on the same variables (multiply a part of the loss by 0 where a rank has no data for it)"
                )
