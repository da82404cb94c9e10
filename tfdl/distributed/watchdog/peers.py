"""Connects the ranks' watchdogs: once, with the World's own collectives."""

import secrets
import socket
import warnings
from contextlib import ExitStack
from dataclasses import dataclass

from tfdl.distributed.watchdog.coordinator import choose_coordinators
from tfdl.distributed.watchdog.links import Links
from tfdl.distributed.watchdog.members import Member, own_member
from tfdl.distributed.watchdog.wire import listen, own_address
from tfdl.distributed.world import World

# Connections that may wait to be accepted beyond one of each rank.
_EXTRA_BACKLOG = 16


@dataclass(frozen=True)
class Peers:
    """All ranks, the coordinators among them, and this rank's open connections."""

    members: list[Member]
    coordinators: list[int]
    links: Links


def connect_peers(world: World) -> Peers | None:
    """Connects the ranks. All ranks must call it at the same point.

    Args:
        world: the ranks.

    Returns:
        The connections; ``None``, with a warning on rank 0, if any rank cannot connect.
    """
    with ExitStack() as on_failure:
        listener, member, problem = _open_listener(world)
        if listener is not None:
            on_failure.callback(listener.close)
        everyone = world.all_gather_object((member, secrets.token_hex(16), problem))
        members = [rank_member for rank_member, _, _ in everyone]
        problems = [rank_problem for _, _, rank_problem in everyone]
        if not any(problems):
            coordinators = choose_coordinators(members)
            if world.rank not in coordinators and listener is not None:
                listener.close()
                listener = None
            _, shared_token, _ = everyone[0]
            links = Links(listener, shared_token)
            on_failure.callback(links.close)
            try:
                links.connect([members[rank] for rank in coordinators if rank != world.rank], world.rank)
            except OSError as error:
                problem = str(error)
            problems = world.all_gather_object(problem)
        if not any(problems):
            on_failure.pop_all()
            return Peers(members, coordinators, links)
    if world.is_chief:
        _warn(problems)
    return None


def _warn(problems: list[str]) -> None:
    """Names the first rank that could not connect."""
    rank = next(rank for rank, problem in enumerate(problems) if problem)
    warnings.warn(
        f"no watchdog: rank {rank} cannot open its connection ({problems[rank]}); a rank that hangs will not be"
        " noticed",
        RuntimeWarning,
        stacklevel=4,
    )


def _open_listener(world: World) -> tuple[socket.socket | None, Member | None, str]:
    """The listener, this process as a member, and the error if there is no listener."""
    try:
        address = own_address(one_host=world.local_size == world.size)
        listener = listen(address, backlog=world.size + _EXTRA_BACKLOG)
    except OSError as error:
        return None, None, str(error)
    port = listener.getsockname()[1]
    return listener, own_member(world.rank, address, port), ""
