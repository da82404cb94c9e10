"""Opens the World for the ranks that were launched."""

from collections.abc import Sequence

from tfdl.distributed.elastic.membership import current_membership
from tfdl.distributed.held_signals import STOP_SIGNALS, HeldSignals
from tfdl.distributed.launchers import find_launch, is_elastic_launch
from tfdl.distributed.watchdog.current import DEFAULT_TIMEOUT, current_watchdog
from tfdl.distributed.world import SingleWorld, World, current_world, set_current_world
from tfdl.errors import UserError

_is_open = False
_was_shut_down = False


def init(
    watchdog_timeout: float = DEFAULT_TIMEOUT,
    *,
    subsets: Sequence[Sequence[int]] = (),
    elastic: bool = True,
) -> World:
    """Opens this process's World. Later calls return the same World.

    A single process gets a ``SingleWorld``. Several ranks get a ``HorovodWorld``, or an error on every rank: they never
    train separately without an error. On several ranks a watchdog finds a rank that fails, dies, hangs or is cut off,
    names it, and ends the job, and ``keras.Model.fit`` refuses an optimizer that is not from ``DistributedOptimizer``.

    In a job of ``horovodrun --host-discovery-script`` the ranks may change. Then the World's numbers change, too;
    collectives belong in the function of ``tfdl.distributed.elastic.run``, and a rank that hangs is ended alone.

    Args:
        watchdog_timeout: seconds that ranks may wait in a collective for a rank that makes no progress, and that a rank
            may send no heartbeat; 0 for no limit. Work that one rank does alone for longer belongs in
            ``with tfdl.distributed.long_work("evaluating"):``.
        subsets: groups of ranks that get their own World, such as ``[[0, 1], [2, 3]]``. The list must be the same on
            all ranks. ``world.subset([0, 1])`` opens one. Ranks that may change have none.
        elastic: whether the ranks may change if the launcher can change them. ``False`` is for a script that does not
            use ``tfdl.distributed.elastic``, whatever started it: its ranks never change, and a lost rank ends the job.

    Returns:
        The World of all ranks.

    Raises:
        UserError: several ranks without a working Horovod, a size that differs from the launcher's, fewer GPUs than
            ranks on a host, a negative timeout, several ranks after ``shutdown``, or ``subsets`` of ranks that may
            change.
        RunError: a rank that srun should have started did not appear in time.
    """
    if not watchdog_timeout >= 0:  # also refuses NaN
        raise UserError(f"watchdog_timeout={watchdog_timeout}, expected seconds, or 0 for no limit")
    launch = find_launch()
    may_change = elastic and is_elastic_launch()
    if may_change and subsets:
        raise UserError("init(subsets=...) in an elastic job, expected none: the ranks of a subset may be lost")
    global _is_open
    is_alone = launch.size == 1 and not may_change
    if is_alone or current_world().size > 1 or current_membership().is_elastic:
        _is_open = True
        return current_world()
    if _was_shut_down:
        raise UserError(
            "tfdl.distributed.init() after shutdown(): Horovod cannot connect the same ranks again; call shutdown() at"
            " the end of the program only"
        )
    # Heavy imports, which a single process does not need.
    from tfdl.distributed.horovod import HorovodWorld
    from tfdl.distributed.keras_guards import guard_fit
    from tfdl.distributed.watchdog.watchdog import Watchdog

    if may_change:
        from tfdl.distributed.elastic.ranks import open_elastic_ranks

        world: World = open_elastic_ranks(watchdog_timeout).world
        guard_fit()
        _is_open = True
        return world
    # srun sends signals to all ranks. horovodrun ends its ranks with a signal, which must not wait.
    with HeldSignals(STOP_SIGNALS if launch.launcher == "srun" else ()) as signals:
        world = HorovodWorld(launch.launcher, launch.size, subsets, signals)
        set_current_world(world)
        Watchdog.start(world, watchdog_timeout)
        guard_fit()
        _is_open = True
    return world


def is_initialized() -> bool:
    """Whether ``init`` has opened this process's World and ``shutdown`` has not closed it; also on one rank."""
    return _is_open or current_world().size > 1


def shutdown() -> None:
    """Leaves the other ranks. The current World is a ``SingleWorld`` again.

    All ranks should call it at the same point: ranks that are still in a collective get an error. Afterwards ``init``
    raises an error on several ranks, because Horovod cannot connect the same processes again. A program that just ends
    need not call it. Before ``init`` it does nothing.
    """
    global _is_open, _was_shut_down
    _is_open = False
    world = current_world()
    current_watchdog().stop()
    current_membership().close()
    if hasattr(world, "shutdown"):
        _was_shut_down = True
        world.shutdown()
    set_current_world(SingleWorld())
