"""Ranks that may die and join, started by Horovod's elastic launcher.

``horovod.elastic.run`` is not used. It recognizes a failed collective by a few words in the error message, and treats
any other failure as the end of the training: the rank exits with code 0 before it has finished. Here a failure is
either recognized as a lost rank, or raised.
"""

from typing import Any

import tensorflow as tf

from tfdl.distributed.elastic.membership import FixedMembership, current_membership, set_current_membership
from tfdl.distributed.elastic.rendezvous import ElasticRendezvous
from tfdl.distributed.elastic.world import ElasticWorld
from tfdl.distributed.horovod import import_horovod
from tfdl.distributed.launchers import find_launch
from tfdl.distributed.watchdog.current import DEFAULT_TIMEOUT, current_watchdog, rejoining
from tfdl.distributed.watchdog.watchdog import Watchdog
from tfdl.distributed.world import set_current_world


class ElasticRanks(FixedMembership):
    """This process's membership in a job whose ranks come and go. ``open_elastic_ranks`` makes one.

    Args:
        watchdog_timeout: as for ``tfdl.distributed.init``.

    Attributes:
        world: the current ranks; always the same object.

    Raises:
        UserError: this environment has no working Horovod.
        RemovedError: the launcher has no rank for this process.
    """

    is_elastic = True

    def __init__(self, watchdog_timeout: float = DEFAULT_TIMEOUT) -> None:
        launch = find_launch()
        self._horovod = import_horovod(launch.launcher, launch.size)
        from horovod.common.elastic import notification_manager
        from horovod.common.exceptions import HorovodInternalError

        self._lost_rank_errors = (tf.errors.UnknownError, HorovodInternalError)
        self._watchdog_timeout = watchdog_timeout
        self._notification_manager = notification_manager
        self._notices = HostNotices()
        self._notification_manager.init()
        self._notification_manager.register_listener(self._notices)
        self._rendezvous = ElasticRendezvous()
        self._rendezvous.meet(is_launched=True)
        launch = find_launch()  # the rendezvous may have changed rank and size
        self.world = ElasticWorld(launch.launcher, launch.size)
        set_current_world(self.world)
        self._rendezvous.start_proxy()
        self._watch()
        self.world.refuses_collectives = True

    @property
    def hosts_changed(self) -> bool:  # type: ignore[override]
        """Whether the launcher has reported, since this rank last joined, that hosts were added or removed.

        The launcher reports it only to rank 0.
        """
        return self._notices.have_changed

    def enter(self) -> None:
        """See ``FixedMembership.enter``."""
        self.world.refuses_collectives = False

    def set_watchdog_timeout(self, seconds: float) -> None:
        """Changes the watchdog's timeout, which must be the same on all ranks; 0 for no limit."""
        self._watchdog_timeout = seconds
        current_watchdog().set_timeout(seconds)

    def is_lost(self, error: BaseException) -> bool:
        """Whether a collective failed because a rank has died, was cut off, or has left.

        Collectives that fail because of their arguments (different shapes on different ranks) raise other errors.
        """
        return isinstance(error, self._lost_rank_errors) and "Horovod" in str(error)

    def rejoin(self) -> None:
        """Leaves the old ranks and joins the current ones. Waits until the launcher has enough ranks.

        ``world`` has the numbers of the new ranks. The process keeps its device.

        Raises:
            RemovedError: this rank's host was removed from the list of hosts, or the launcher has ended.
        """
        self._notices.have_changed = False
        # The launcher waits for each of the old ranks. So their watchdog runs on meanwhile, and ends those that hang.
        with rejoining():
            self._horovod.shutdown()
            self._rendezvous.meet()
            self._horovod.init()
        current_watchdog().stop()
        self.world.change()
        self._watch()

    def close(self) -> None:
        """Stops listening to the launcher."""
        self._notification_manager.remove_listener(self._notices)
        set_current_membership(FixedMembership())

    def _watch(self) -> None:
        if self.world.size > 1:
            Watchdog.start(self.world, self._watchdog_timeout, elastic=True)


class HostNotices:
    """Records the launcher's notices. Horovod's notification thread calls it."""

    have_changed = False

    def on_hosts_updated(self, timestamp: int, result: Any) -> None:  # noqa: ARG002
        """Called when hosts were added or removed."""
        self.have_changed = True


def open_elastic_ranks(watchdog_timeout: float = DEFAULT_TIMEOUT) -> ElasticRanks:
    """Returns this process's membership in an elastic job. The first call opens it.

    Args:
        watchdog_timeout: of the first call; as for ``tfdl.distributed.init``.

    Raises:
        UserError: this environment has no working Horovod.
        RemovedError: the launcher has no rank for this process.
    """
    membership = current_membership()
    if not isinstance(membership, ElasticRanks):
        membership = ElasticRanks(watchdog_timeout)
        set_current_membership(membership)
    return membership
