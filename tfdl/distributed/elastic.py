"""Ranks that may die and join: Horovod's elastic launcher, as the training loop needs it.

``horovod.elastic.run`` is not used. It knows a failed collective by a few words in its message, and takes a failure
without them for the end of the training: the rank exits 0, unfinished. Here a failure is either known to be a lost
rank's, or it is raised.
"""

import os
from typing import Any

import tensorflow as tf

from tfdl.distributed.horovod import HorovodWorld, import_horovod
from tfdl.distributed.launch import find_launch
from tfdl.distributed.meeting import MeetingPlace
from tfdl.distributed.world import World, set_current_world
from tfdl.errors import UserError


class ElasticRanks:
    """This process's part in a job whose ranks come and go.

    Raises:
        UserError: the job was not started with a host discovery script.
        RemovedError: there is no place for this rank.
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

        self._lost = (tf.errors.UnknownError, HorovodInternalError)
        self._manager, self._notices = notification_manager, _Notices()
        self._manager.init()
        self._manager.register_listener(self._notices)
        self._meeting = MeetingPlace()
        self._meeting.meet(launched=True)
        launch = find_launch()
        self._enter(HorovodWorld(launch.launcher, launch.size))
        self._meeting.stand_in()

    @property
    def hosts_changed(self) -> bool:
        """Whether the launcher has told this rank, since it last joined, that hosts were added or removed.

        Horovod tells rank 0 alone.
        """
        return self._notices.came

    def is_lost(self, error: BaseException) -> bool:
        """Whether a collective failed because a rank is gone, or cut off, or has left.

        Collectives that fail for what they were given (other shapes on other ranks) end in other errors.
        """
        return isinstance(error, self._lost) and "Horovod" in str(error)

    def rejoin(self) -> None:
        """Leaves the old ranks and meets those that there are now; waits until the launcher has enough of them.

        The new World is ``world``, and ``current_world()``. The process keeps its device.

        Raises:
            RemovedError: this rank's host was taken off the list, or the launcher is gone.
        """
        self._notices.came = False
        self._horovod.shutdown()
        self._meeting.meet()
        self._horovod.init()
        self._enter(ElasticWorld(self._horovod))

    def close(self) -> None:
        """Stops listening to the launcher."""
        self._manager.remove_listener(self._notices)

    def _enter(self, world: World) -> None:
        self.world = world
        set_current_world(world)


class ElasticWorld(HorovodWorld):
    """The ranks after a change."""

    def __init__(self, horovod: Any):
        self._horovod, self._process_set, self._process_sets = horovod, horovod.global_process_set, {}
        self.find_place()


class _Notices:
    """What Horovod's notification thread calls."""

    came = False

    def on_hosts_updated(self, timestamp: int, result: Any) -> None:  # noqa: ARG002
        self.came = True
