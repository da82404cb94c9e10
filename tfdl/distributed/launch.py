"""Finds out from the launcher's environment how many ranks there are, and opens the World that fits."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from tfdl.distributed.watchdog.current import DEFAULT_TIMEOUT, current_watchdog
from tfdl.distributed.world import SingleWorld, World, current_world, set_current_world
from tfdl.errors import UserError

# Launcher's name for a person -> the variables that it sets for rank and size.
LAUNCHERS = {
    "horovodrun": ("HOROVOD_RANK", "HOROVOD_SIZE"),
    "mpirun": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    "a PMI launcher": ("PMI_RANK", "PMI_SIZE"),
}


@dataclass(frozen=True)
class Launch:
    """What the launcher said: its name, this process's rank, and the number of ranks."""

    launcher: str
    rank: int
    size: int


def find_launch() -> Launch:
    """Reads the launcher's variables; a process that nobody launched is rank 0 of 1.

    Raises:
        UserError: a rank without its size, or values that are no numbers.
    """
    for launcher, (rank_name, size_name) in LAUNCHERS.items():
        if rank_name not in os.environ and size_name not in os.environ:
            continue
        rank, size = os.environ.get(rank_name, ""), os.environ.get(size_name, "")
        if not (rank.isdigit() and size.isdigit() and int(rank) < int(size)):
            raise UserError(
                f"{rank_name}={rank!r} and {size_name}={size!r} in the environment, expected a rank below a size; "
                f"start the job through {launcher}, or unset both"
            )
        return Launch(launcher, int(rank), int(size))
    return Launch("none", 0, 1)


def init(watchdog_timeout: float = DEFAULT_TIMEOUT, *, subsets: Sequence[Sequence[int]] = ()) -> World:
    """Opens this process's World, once; later calls return the same one.

    Alone it is a ``SingleWorld``. Launched as several ranks it is a ``HorovodWorld``, or an error on every rank: never
    several silent runs beside each other. A watchdog then sees which rank fails, dies, hangs or is cut off, names it,
    and ends the job; and ``keras.Model.fit`` refuses an optimizer that is not from ``DistributedOptimizer``.

    Args:
        watchdog_timeout: seconds that ranks may wait in a collective for one that makes no progress, and that a rank
            may give no sign of life; 0 for no end. What one rank does alone for longer stands in
            ``with tfdl.distributed.long_work("evaluating"):``.
        subsets: groups of ranks that shall have a World of their own, such as ``[[0, 1], [2, 3]]``, the same list on
            every rank; ``world.subset([0, 1])`` opens one.

    Raises:
        UserError: several ranks without a working Horovod, a size other than the launcher's, too few GPUs, or a
            negative timeout.
    """
    if not watchdog_timeout >= 0:
        raise UserError(f"watchdog_timeout={watchdog_timeout}, expected seconds, or 0 for a watchdog that never bites")
    launch = find_launch()
    if launch.size == 1 or current_world().size > 1:
        return current_world()
    from tfdl.distributed.horovod import HorovodWorld

    world: World = HorovodWorld(launch.launcher, launch.size, subsets)
    set_current_world(world)
    from tfdl.distributed.watchdog.watchdog import Watchdog

    Watchdog.start(world, watchdog_timeout)
    from tfdl.distributed.keras_guards import watch_fit

    watch_fit()
    return world


def close() -> None:
    """Leaves the ranks and goes back to a ``SingleWorld``."""
    world = current_world()
    current_watchdog().stop()
    if world.size > 1:
        world.shutdown()  # type: ignore[attr-defined]
    set_current_world(SingleWorld())
