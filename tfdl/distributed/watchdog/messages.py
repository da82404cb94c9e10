"""Verdicts as error messages."""

from collections.abc import Mapping, Sequence

from tfdl.distributed.watchdog.decision import Verdict
from tfdl.distributed.watchdog.rank_state import RankState

# A message that would list more ranks than this names the first ones and counts the others.
_MAX_LISTED_RANKS = 8


def format_verdict(verdict: Verdict, hosts: Sequence[str], states: Mapping[int, RankState]) -> str:
    """One line that names the ranks, what they did, and the last step that they reported.

    Args:
        verdict: the verdict.
        hosts: the host name of each rank.
        states: what the coordinator knew of the ranks when it reached the verdict.

    Returns:
        The line, such as ``rank 1: error: hangs (on h2, last step 40): ...``.
    """
    if verdict.kind == "stuck":
        return _stuck_message(verdict, states)
    if not verdict.ranks:
        return verdict.line
    return f"{_list_ranks(verdict.ranks)}: {_message_of_ranks(verdict, hosts, states)}"


def _message_of_ranks(verdict: Verdict, hosts: Sequence[str], states: Mapping[int, RankState]) -> str:
    """The message without the names of the ranks."""
    if verdict.kind in ("failed", "broken"):
        return verdict.line
    report = states[verdict.ranks[0]].report
    host_names = dict.fromkeys(hosts[rank] for rank in verdict.ranks)  # each host once
    where = f"(on {', '.join(host_names)}, last step {report.step})"
    if verdict.kind == "died":
        cause = "it may have run out of memory"
        if _has_lost_host(verdict.ranks[0], hosts, states):
            cause = f"its host has failed, or {cause}"
        return f"error: was killed without an error message {where}; {cause}"
    if verdict.kind == "left":
        return f"error: its program ended {where} while other ranks were still training"
    if verdict.kind == "silent":
        causes = "it is stopped or cut off from the network, or its host is down"
        return f"error: no heartbeat for {verdict.seconds:.0f} s {where}: {causes}"
    is_rejoining = any(states[rank].report.is_rejoining for rank in verdict.waiting)
    return _late_message(verdict, where, report.long_work, "to rejoin" if is_rejoining else "in a collective")


def _has_lost_host(rank: int, hosts: Sequence[str], states: Mapping[int, RankState]) -> bool:
    """Whether all ranks of a rank's host are gone, and the job has ranks on other hosts."""
    neighbours = [other for other, host in enumerate(hosts) if host == hosts[rank]]
    is_gone = all(states[other].disconnected_at is not None for other in neighbours)
    return is_gone and len(neighbours) < len(hosts)


def _late_message(verdict: Verdict, where: str, long_work: str, waiting: str) -> str:
    is_one = len(verdict.ranks) == 1
    activity = "hangs" if is_one else "hang"
    if long_work:
        activity = f"busy {long_work}"
    pronoun = "it" if is_one else "them"
    return (
        f"error: {activity} {where}: {_list_ranks(verdict.waiting)} waited for {pronoun} {waiting} for"
        f" {verdict.seconds:.0f} s; if this work may take so long, declare it with tfdl.distributed.long_work, or"
        " increase the watchdog's timeout"
    )


def _stuck_message(verdict: Verdict, states: Mapping[int, RankState]) -> str:
    last_step = max(state.report.step for state in states.values())
    return (
        f"error: {_list_ranks(verdict.waiting)} waited in a collective for {verdict.seconds:.0f} s without progress"
        f" (last step {last_step}); check that all ranks call the same collectives in the same order, and that the"
        " network carries large messages"
    )


def _list_ranks(ranks: Sequence[int]) -> str:
    if len(ranks) == 1:
        return f"rank {ranks[0]}"
    names = [str(rank) for rank in ranks]
    if len(ranks) > _MAX_LISTED_RANKS:
        num_listed = _MAX_LISTED_RANKS - 1
        return f"ranks {', '.join(names[:num_listed])} and {len(ranks) - num_listed} more"
    return f"ranks {', '.join(names[:-1])} and {names[-1]}"
