"""How the ranks' watchdogs find each other: once, over the World's own collectives."""

import secrets
import socket
import warnings
from contextlib import ExitStack
from dataclasses import dataclass

from tfdl.distributed.watchdog.judge import judges_among
from tfdl.distributed.watchdog.links import Links
from tfdl.distributed.watchdog.members import Member, own_member
from tfdl.distributed.watchdog.wire import listen, own_address
from tfdl.distributed.world import World


@dataclass(frozen=True)
class Meeting:
    """All ranks, the judges among them, and this rank's open connections."""

    members: list[Member]
    judges: list[int]
    links: Links


def meet(world: World) -> Meeting | None:
    """Connects the ranks; called by all of them at the same point. ``None``, with a warning, where they cannot."""
    with ExitStack() as on_failure:
        listener, me, problem = _open_door(world)
        if listener is not None:
            on_failure.callback(listener.close)
        everyone = world.all_gather_object((me, secrets.token_hex(16), problem))
        problems = [found for _, _, found in everyone]
        if not any(problems):
            members = [member for member, _, _ in everyone]
            judges = judges_among(members)
            if world.rank not in judges and listener is not None:
                listener.close()
                listener = None
            links = Links(listener, token=everyone[0][1])
            on_failure.callback(links.close)
            try:
                links.connect([members[rank] for rank in judges if rank != world.rank], world.rank)
            except OSError as error:
                problem = str(error)
            problems = world.all_gather_object(problem)
        if not any(problems):
            on_failure.pop_all()
            return Meeting(members, judges, links)
    if world.is_chief:
        rank, found = next((rank, found) for rank, found in enumerate(problems) if found)
        warnings.warn(
            f"no watchdog: rank {rank} cannot open its connection ({found}); a rank that hangs will not be noticed",
            RuntimeWarning,
            stacklevel=3,
        )
    return None


def _open_door(world: World) -> tuple[socket.socket | None, Member | None, str]:
    try:
        address = own_address(one_host=world.local_size == world.size)
        listener = listen(address, backlog=world.size + 16)
    except OSError as error:
        return None, None, str(error)
    return listener, own_member(world.rank, address, listener.getsockname()[1]), ""
