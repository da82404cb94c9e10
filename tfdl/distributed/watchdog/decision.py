"""Decides which rank is to blame: a pure function of the ranks' reports and the time."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from tfdl.distributed.watchdog.rank_state import RankState

Kind = Literal["failed", "died", "left", "silent", "late", "stuck", "broken"]
ALL_KINDS: tuple[Kind, ...] = get_args(Kind)
# What is decided in a job that continues without lost ranks. Its ranks notice by themselves that another is gone.
ELASTIC_KINDS: tuple[Kind, ...] = ("silent", "late", "stuck")

# A launcher that ends the whole job kills its ranks one after the other. Within this time it also kills the
# coordinator, so a rank that it killed is not blamed.
DEATH_GRACE = 0.3
# An error that all ranks meet is received from all of them within about this time.
FAILURE_GRACE = 0.3
# How long a broken collective may wait for its cause to become known.
BROKEN_PATIENCE = 4.0
# A broken collective is blamed on a rank that has been silent for this long, or for three heartbeats if that is longer.
_BROKEN_SILENCE = 5.0


@dataclass(frozen=True)
class Verdict:
    """Why the job ends, and which ranks caused it."""

    kind: Kind
    ranks: tuple[int, ...]
    """The ranks that caused it; empty if no single rank did."""
    code: int = 1
    """The exit code."""
    line: str = ""
    """The error message of ``failed`` and ``broken``."""
    seconds: float = 0.0
    """How long the other ranks waited."""
    waiting: tuple[int, ...] = ()
    """The ranks that wait for a ``late`` one, or for each other (``stuck``)."""


def decide(
    states: Mapping[int, RankState],
    now: float,
    timeout: float,
    heartbeat_seconds: float = 1.0,
    kinds: Collection[Kind] = ALL_KINDS,
) -> Verdict | None:
    """Returns the verdict at this moment, or ``None``.

    The most certain evidence comes first: an error that a rank reported, then a rank that is gone, one that sends no
    heartbeats, and one that others wait for.

    A rank is *late* if other ranks have waited in a collective for longer than ``timeout`` and the rank has neither
    entered it nor made any progress for as long. Declared long work has its own limit. If no rank waits, no rank is
    late: a step may take any time if it takes equally long everywhere. In an elastic job, a rank that has left to join
    the new ranks also waits for those that have not.

    Args:
        states: what is known of every rank, by rank.
        now: the time in seconds, on the clock of the states.
        timeout: seconds; infinity gives no verdict that depends on time.
        heartbeat_seconds: seconds between two heartbeats.
        kinds: the kinds of verdicts that this job acts on; others are not considered.

    Returns:
        The verdict, or ``None`` if the job should continue.
    """
    # If the job continues without lost ranks, a collective that waits for one of them will fail.
    is_losing_ranks = "died" not in kinds and not all(state.is_present for state in states.values())
    rules: dict[Kind, Callable[[], Verdict | None]] = {
        "failed": lambda: _failed(states, now),
        "died": lambda: _died(states, now),
        "silent": lambda: _silent(states, now, timeout),
        "late": lambda: _late(states, now, timeout),
        "stuck": lambda: None if is_losing_ranks else _stuck(states, now, timeout),
        "broken": lambda: _broken(states, now, heartbeat_seconds),
    }
    for kind, rule in rules.items():
        verdict = rule() if kind in kinds else None
        if verdict is not None:
            return verdict
    return None


def _failed(states: Mapping[int, RankState], now: float) -> Verdict | None:
    """The first error that was reported. If all ranks report the same error, no single rank is blamed."""
    failures = {rank: state.failure for rank, state in states.items() if state.failure is not None}
    if not failures:
        return None
    first_rank = min(failures, key=lambda rank: (failures[rank].time, rank))
    first = failures[first_rank]
    num_same = sum(failure.line == first.line for failure in failures.values())
    is_common = num_same == len(states)
    if not is_common and now - first.time < FAILURE_GRACE:
        return None  # the other ranks may be about to report the same error
    if is_common and len(states) > 1:
        return Verdict("failed", (), first.code, first.line)
    return Verdict("failed", (first_rank,), first.code, first.line)


def _died(states: Mapping[int, RankState], now: float) -> Verdict | None:
    """The first rank whose connection ended without an error message or a goodbye."""
    times = {
        rank: state.disconnected_at
        for rank, state in states.items()
        if state.disconnected_at is not None and state.failure is None
    }
    if not times:
        return None
    first_rank = min(times, key=lambda rank: (times[rank], rank))
    if now - times[first_rank] < DEATH_GRACE:
        return None
    return Verdict("died", (first_rank,))


def _silent(states: Mapping[int, RankState], now: float, limit: float) -> Verdict | None:
    """All ranks that are connected and have sent nothing for longer than ``limit``."""
    silent = sorted(rank for rank, state in states.items() if state.is_present and now - state.last_heard > limit)
    if not silent:
        return None
    last_heard = min(states[rank].last_heard for rank in silent)
    return Verdict("silent", tuple(silent), seconds=now - last_heard)


def _late(states: Mapping[int, RankState], now: float, timeout: float) -> Verdict | None:
    """All ranks that have not entered the collective in which others wait, and make no progress."""
    waiting = _waiting_ranks(states, now, timeout)
    if not waiting:
        return None
    furthest = max(states[rank].report.position for rank in waiting)
    late = [
        rank
        for rank, state in states.items()
        if state.is_present
        and not state.report.is_waiting
        and state.report.position < furthest
        and _is_idle(state, now, timeout)
    ]
    if not late:
        return None
    waiting_since = min(states[rank].unchanged_since for rank in waiting)
    return Verdict("late", tuple(sorted(late)), seconds=now - waiting_since, waiting=tuple(waiting))


def _stuck(states: Mapping[int, RankState], now: float, timeout: float) -> Verdict | None:
    """Some ranks wait and no rank does anything: collectives that do not match, or a network that drops them."""
    waiting = _waiting_ranks(states, now, timeout)
    present = [state for state in states.values() if state.is_present]
    if any(state.report.is_rejoining for state in present):
        return None  # they wait for ranks that are not among these, for as long as the launcher allows
    if not waiting or not all(_is_idle(state, now, timeout) for state in present):
        return None
    idle_since = max(state.unchanged_since for state in present)
    return Verdict("stuck", (), seconds=now - idle_since, waiting=tuple(waiting))


def _broken(states: Mapping[int, RankState], now: float, heartbeat_seconds: float) -> Verdict | None:
    """A collective failed on some rank. The cause is a rank that left or is silent, not the rank that reports it."""
    reports = {rank: state.broken_collective for rank, state in states.items() if state.broken_collective is not None}
    if not reports:
        return None
    if any(state.disconnected_at is not None for state in states.values()):
        return None  # a rank has died: `_died` blames it as soon as it is certain
    left = sorted(rank for rank, state in states.items() if state.has_left and not state.was_terminated)
    if left:
        return Verdict("left", tuple(left))
    silent = _silent(states, now, max(_BROKEN_SILENCE, 3 * heartbeat_seconds))
    if silent is not None:
        return silent
    first_rank = min(reports, key=lambda rank: (reports[rank].time, rank))
    first = reports[first_rank]
    if now - first.time < BROKEN_PATIENCE:
        return None
    return Verdict("broken", (first_rank,), first.code, first.line)


def _waiting_ranks(states: Mapping[int, RankState], now: float, timeout: float) -> list[int]:
    """The ranks that have been in one collective for longer than ``timeout``."""
    return sorted(
        rank
        for rank, state in states.items()
        if state.is_present and state.report.is_waiting and now - state.unchanged_since > timeout
    )


def _is_idle(state: RankState, now: float, timeout: float) -> bool:
    """Whether the rank has made no progress for longer than it may."""
    limit = timeout
    if not state.report.is_waiting:
        limit = max(timeout, state.report.long_work_limit)
    return now - state.unchanged_since > limit
