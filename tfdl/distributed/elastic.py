"""Ranks that may die and join: Horovod's elastic launcher, as the training loop needs it.

``horovod.elastic.run`` is not used. It knows a failed collective by a few words in its message, and takes a failure
without them for the end of the training: the rank exits 0, unfinished. Here a failure is either known to be a lost
rank's, or it is raised.
"""

import ctypes
import os
from typing import Any

import tensorflow as tf

from tfdl.distributed.horovod import HorovodWorld
from tfdl.distributed.launch import find_launch
from tfdl.distributed.world import World, set_current_world
from tfdl.errors import RunError, UserError

# Tries to meet the others again. A rank that dies while it starts costs one.
_MEETINGS = 5
# Not a size that the launcher gives; what it gave stands in its place once it has given one.
_UNASSIGNED = "0"


class ElasticRanks:
    """This process's part in a job whose ranks come and go.

    Raises:
        UserError: the job was not started with a host discovery script.
    """

    def __init__(self) -> None:
        if os.environ.get("HOROVOD_ELASTIC") != "1":
            raise UserError(
                "--elastic outside an elastic job, expected horovodrun to start the ranks with a script that lists the"
                " hosts: horovodrun -np 2 --min-np 1 --max-np 4 --host-discovery-script ./discover_hosts.sh"
                " tfdl train --elastic"
            )
        launch = find_launch()
        world = HorovodWorld(launch.launcher, launch.size)  # first of all: it says so where there is no Horovod
        import horovod.tensorflow as horovod
        from horovod.common.elastic import notification_manager
        from horovod.common.exceptions import HorovodInternalError

        self._horovod = horovod
        self._lost = (tf.errors.UnknownError, HorovodInternalError)
        self._manager, self._notices = notification_manager, _Notices()
        self._manager.init()
        self._manager.register_listener(self._notices)
        self._begin(world)

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

    def rejoin(self) -> World:
        """Leaves the old ranks and meets those that there are now; waits until the launcher has enough of them.

        Returns:
            The new World, also as ``current_world()``. This process keeps its device.

        Raises:
            RunError: this rank's host was taken off the list, or the ranks could not meet.
        """
        self._notices.came = False
        for _ in range(_MEETINGS):
            self._horovod.shutdown()
            os.environ["HOROVOD_SIZE"] = _UNASSIGNED
            try:
                self._horovod.init()
            except ValueError as error:
                # Asking once more without a place would be counted as a rank that is ready.
                if _from_c("HOROVOD_SIZE") == _UNASSIGNED:
                    raise RemovedError(
                        "this rank has no place in the job any more: its host was taken off the list, or the launcher"
                        " has ended; the other ranks, if there are any, go on without it"
                    ) from error
                continue
            return self._begin(ElasticWorld())
        raise RunError(
            f"the ranks that are left could not meet in {_MEETINGS} tries; the messages above say why, and --resume"
            " goes on from the last checkpoint"
        )

    def close(self) -> None:
        """Stops listening to the launcher."""
        self._manager.remove_listener(self._notices)

    def _begin(self, world: World) -> World:
        """Tells the rest of the process which rank it is now."""
        # Horovod's own new values are C's, which os.environ does not see.
        for name in ("rank", "size", "local_rank", "local_size"):
            os.environ[f"HOROVOD_{name.upper()}"] = str(getattr(world, name))
        self.world = world
        set_current_world(world)
        return world


class ElasticWorld(HorovodWorld):
    """The ranks after a change: whatever number Horovod has met."""

    def __init__(self) -> None:
        import horovod.tensorflow as horovod

        self._horovod = horovod
        self.find_place()


class RemovedError(RunError):
    """This rank was taken out of a job that may go on. Exit code 1; the launcher does not count it."""


class _Notices:
    """What Horovod's notification thread calls."""

    came = False

    def on_hosts_updated(self, timestamp: int, result: Any) -> None:  # noqa: ARG002
        self.came = True


def _from_c(name: str) -> str:
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_char_p
    return (getenv(name.encode()) or b"").decode()
