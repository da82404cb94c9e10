"""Ranks that may die and join, started by Horovod's elastic launcher.

``horovod.elastic.run`` is not used. It recognizes a failed collective by a few words in the error message, and treats
any other failure as the end of the training: the rank exits with code 0 before it has finished. Here a failure is
either recognized as a lost rank, or raised.
"""

import os
from typing import Any

import tensorflow as tf

from tfdl.distributed.elastic_rendezvous import ElasticRendezvous
from tfdl.distributed.horovod import HorovodWorld, import_horovod
from tfdl.distributed.launch import find_launch
from tfdl.distributed.world import World, set_current_world
from tfdl.errors import UserError


class ElasticRanks:
    """This process's membership in a job whose ranks come and go.

    Attributes:
        world: the current ranks.

    Raises:
        UserError: the job was not started with a host discovery script.
        RemovedError: the launcher has no rank for this process.
    """

    def __init__(self) -> None:
        if os.environ.get("HOROVOD_ELASTIC") != "1":
            raise UserError(
                "--elastic outside an elastic job, expected horovodrun to start the ranks with a script that lists the"
                " hosts: horovodrun -np 2 --min-np 1 --max-np 4 --host-discovery-script ./discover_hosts.sh"
                " tfdl train --elastic"
            )
        launch = find_launch()
        self._horovod = import_horovod(launch.launcher, launch.size)
        from horovod.common.elastic import notification_manager
        from horovod.common.exceptions import HorovodInternalError

        self._lost_rank_errors = (tf.errors.UnknownError, HorovodInternalError)
        self._notification_manager = notification_manager
        self._notices = HostNotices()
        self._notification_manager.init()
        self._notification_manager.register_listener(self._notices)
        self._rendezvous = ElasticRendezvous()
        self._rendezvous.meet(is_launched=True)
        launch = find_launch()  # the rendezvous may have changed rank and size
        self._set_world(HorovodWorld(launch.launcher, launch.size))
        self._rendezvous.start_proxy()

    @property
    def hosts_changed(self) -> bool:
        """Whether the launcher has reported, since this rank last joined, that hosts were added or removed.

        The launcher reports it only to rank 0.
        """
        return self._notices.have_changed

    def is_lost(self, error: BaseException) -> bool:
        """Whether a collective failed because a rank has died, was cut off, or has left.

        Collectives that fail because of their arguments (different shapes on different ranks) raise other errors.
        """
        return isinstance(error, self._lost_rank_errors) and "Horovod" in str(error)

    def rejoin(self) -> None:
        """Leaves the old ranks and joins the current ones. Waits until the launcher has enough ranks.

        The new World is ``world`` and ``current_world()``. The process keeps its device.

        Raises:
            RemovedError: this rank's host was removed from the list of hosts, or the launcher has ended.
        """
        self._notices.have_changed = False
        self._horovod.shutdown()
        self._rendezvous.meet()
        self._horovod.init()
        self._set_world(RejoinedWorld(self._horovod))

    def close(self) -> None:
        """Stops listening to the launcher."""
        self._notification_manager.remove_listener(self._notices)

    def _set_world(self, world: World) -> None:
        self.world = world
        set_current_world(world)


class RejoinedWorld(HorovodWorld):
    """The ranks after a change. Horovod is already initialized."""

    def __init__(self, horovod: Any):
        self._horovod = horovod
        self._process_set = horovod.global_process_set
        self._process_sets = {}
        self.read_ranks()


class HostNotices:
    """Records the launcher's notices. Horovod's notification thread calls it."""

    have_changed = False

    def on_hosts_updated(self, timestamp: int, result: Any) -> None:  # noqa: ARG002
        """Called when hosts were added or removed."""
        self.have_changed = True
