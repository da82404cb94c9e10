"""Opens the World that fits the number of ranks that were launched."""

from collections.abc import Sequence

from tfdl.distributed.launchers import find_launch
from tfdl.distributed.watchdog.current import DEFAULT_TIMEOUT, current_watchdog
from tfdl.distributed.world import SingleWorld, World, current_world, set_current_world
from tfdl.errors import UserError


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
