"""The World of code that trains, which refuses to train alone on one of several ranks."""

from tfdl.distributed.launchers import find_launch
from tfdl.distributed.world import WORLD_BEFORE_INIT, World, current_world
from tfdl.errors import UserError


def training_world() -> World:
    """Returns ``current_world()``, for code that trains.

    A script that forgets ``init`` has a ``SingleWorld`` on every rank. Nothing would be averaged, and each rank would
    train a separate model.

    Raises:
        UserError: a launcher started several ranks, and ``tfdl.distributed.init()`` was not called.
    """
    world = current_world()
    if world is WORLD_BEFORE_INIT:
        launch = find_launch()
        if launch.size > 1:
            raise UserError(
                f"{launch.launcher} started {launch.size} ranks, but this script trains without"
                " tfdl.distributed.init(), so each rank would train a separate model; call it first, before any tensor"
                " is made (or pass DistributedOptimizer world=SingleWorld() if each rank should train separately)"
            )
    return world
