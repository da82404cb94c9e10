"""This process's membership in a job, as training functions and states see it."""


class HostsUpdatedInterrupt(Exception):  # noqa: N818  (no error: Horovod's name)
    """Ends a training function on all ranks at the same point, because the launcher has other hosts.

    ``tfdl.distributed.elastic.run`` catches it, and calls the function again on the new ranks.
    """


class FixedMembership:
    """Ranks that never change: a single process, or a job of ``horovodrun -np 4``. A lost rank ends the job."""

    is_elastic = False
    """Whether ranks may be lost and join."""
    hosts_changed = False
    """Whether the launcher has told this rank that hosts were added or removed."""

    def enter(self) -> None:
        """Called when training begins: from now on, all ranks call the same collectives."""

    def is_lost(self, error: BaseException) -> bool:  # noqa: ARG002
        """Whether an error means that another rank is gone and the others should meet again."""
        return False

    def rejoin(self) -> None:
        """Leaves the old ranks and joins the current ones."""
        raise AssertionError("the ranks of this job never change")

    def close(self) -> None:
        """Leaves the job."""


_current = FixedMembership()


def current_membership() -> FixedMembership:
    """Returns this process's membership; that of ranks that never change before ``init`` has opened another."""
    return _current


def set_current_membership(membership: FixedMembership) -> None:
    """Sets what ``current_membership`` returns."""
    global _current
    _current = membership
