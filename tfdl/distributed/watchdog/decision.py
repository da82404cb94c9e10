"""Who is to blame, as a pure function of what the ranks reported and of the time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

Kind = Literal["failed", "died", "left", "silent", "late", "stuck", "broken"]
ALL_KINDS: tuple[Kind, ...] = get_args(Kind)
# Of a rank that is still there and must be ended, where a job goes on without its culprits.
HANGING_KINDS: tuple[Kind, ...] = ("silent", "late")

# A rank that the launcher kills with all others is not to be blamed: within this time the judge is gone as well.
DEATH_GRACE = 0.3
# An error that every rank meets alike arrives from all of them within about this time.
FAILURE_GRACE = 0.3
# How long a broken collective may wait for its cause to show.
BROKEN_PATIENCE = 4.0


@dataclass(frozen=True)
class Report:
    """What one rank says of itself with every heartbeat."""

    begun: int = 0
    """Collectives that it has come to."""
    done: int = 0
    """Collectives that it has come back from."""
    ticks: int = 0
    """Signs of progress between collectives: steps, batches of a validation."""
    step: int = 0
    """The last optimizer step that its program knows to be done."""
    doing: str = ""
    """Long work that it has declared; empty for none."""
    allowed: float = 0.0
    """Seconds that the long work may take."""

    @property
    def waits(self) -> bool:
        """Whether it is in a collective, where it may wait for the others."""
        return self.begun > self.done


@dataclass(frozen=True)
class Failure:
    """An error that ends a rank: when it was told, the exit code, and the line for a person."""

    time: float
    code: int
    line: str


@dataclass
class Sighting:
    """All that a judge knows of one rank; times are the judge's own, in seconds."""

    heard: float
    """When the rank last gave any sign."""
    since: float
    """When its report last changed."""
    report: Report = field(default_factory=Report)
    closed: float | None = None
    """When its connection ended without a goodbye."""
    left: bool = False
    """Whether it said goodbye."""
    was_asked: bool = False
    """Whether it left because the launcher told it to."""
    failure: Failure | None = None
    broken: Failure | None = None
    """A collective that failed under it: another rank's doing."""

    def hear(self, report: Report, now: float) -> None:
        """Takes in a heartbeat."""
        self.heard = now
        if report != self.report:
            self.report, self.since = report, now

    @property
    def is_present(self) -> bool:
        return not self.left and self.closed is None


@dataclass(frozen=True)
class Verdict:
    """Why the job ends, and through which ranks (none where nobody can be singled out)."""

    kind: Kind
    ranks: tuple[int, ...]
    code: int = 1
    line: str = ""
    """The error's own words, for ``failed`` and ``broken``."""
    seconds: float = 0.0
    """How long it was waited for."""
    waiting: tuple[int, ...] = ()
    """The ranks that wait for a ``late`` one."""


def decide(seen: Mapping[int, Sighting], now: float, timeout: float, beat: float = 1.0) -> Verdict | None:
    """The verdict at this moment, or none.

    The surest evidence goes first: an error that a rank told; a rank that is gone; one that gives no sign; one that
    others wait for.

    A rank is *late* when others have waited in a collective for longer than ``timeout``, and it has neither come there
    nor made any progress of its own for as long (for as long as it may, in work that it declared long). Where nobody
    waits, nobody is late: equal ranks may take any time over a step.

    Args:
        seen: what is known of every rank, by rank.
        now: the time, on the clock of the sightings.
        timeout: seconds; infinite blames nobody for time.
        beat: seconds between two heartbeats.
    """
    return (
        _failed(seen, now)
        or _died(seen, now)
        or _silent(seen, now, timeout)
        or _late(seen, now, timeout)
        or _stuck(seen, now, timeout)
        or _broken(seen, now, beat)
    )


def _failed(seen: Mapping[int, Sighting], now: float) -> Verdict | None:
    """The first error told; when all ranks tell the same, it is nobody's in particular."""
    told = {rank: sighting.failure for rank, sighting in seen.items() if sighting.failure}
    if not told:
        return None
    rank, first = min(told.items(), key=lambda item: (item[1].time, item[0]))
    alike = [other for other, failure in told.items() if failure.line == first.line]
    everybody = len(alike) == len(seen)
    if now - first.time < FAILURE_GRACE and not everybody:
        return None
    return Verdict("failed", () if everybody and len(seen) > 1 else (rank,), first.code, first.line)


def _died(seen: Mapping[int, Sighting], now: float) -> Verdict | None:
    closed = {rank: s.closed for rank, s in seen.items() if s.closed is not None and s.failure is None}
    if not closed or now - min(closed.values()) < DEATH_GRACE:
        return None
    return Verdict("died", (min(closed, key=lambda rank: (closed[rank], rank)),))


def _silent(seen: Mapping[int, Sighting], now: float, timeout: float) -> Verdict | None:
    silent = _silent_for(seen, now, timeout)
    return Verdict("silent", tuple(silent), seconds=now - min(seen[rank].heard for rank in silent)) if silent else None


def _silent_for(seen: Mapping[int, Sighting], now: float, limit: float) -> list[int]:
    return sorted(rank for rank, s in seen.items() if s.is_present and now - s.heard > limit)


def _late(seen: Mapping[int, Sighting], now: float, timeout: float) -> Verdict | None:
    waiting = _waiting(seen, now, timeout)
    furthest = max((seen[rank].report.begun for rank in waiting), default=-1)
    late = [
        rank
        for rank, s in seen.items()
        if s.is_present and not s.report.waits and s.report.begun < furthest and _is_idle(s, now, timeout)
    ]
    if not late:
        return None
    waited = now - min(seen[rank].since for rank in waiting)
    return Verdict("late", tuple(sorted(late)), seconds=waited, waiting=tuple(waiting))


def _stuck(seen: Mapping[int, Sighting], now: float, timeout: float) -> Verdict | None:
    """Somebody waits, and nobody does anything: collectives that do not match, or a network that swallows them."""
    waiting = _waiting(seen, now, timeout)
    present = [s for s in seen.values() if s.is_present]
    if not waiting or not all(_is_idle(s, now, timeout) for s in present):
        return None
    return Verdict("stuck", (), seconds=now - max(s.since for s in present), waiting=tuple(waiting))


def _waiting(seen: Mapping[int, Sighting], now: float, timeout: float) -> list[int]:
    return sorted(rank for rank, s in seen.items() if s.is_present and s.report.waits and now - s.since > timeout)


def _is_idle(sighting: Sighting, now: float, timeout: float) -> bool:
    allowed = timeout if sighting.report.waits else max(timeout, sighting.report.allowed)
    return now - sighting.since > allowed


def _broken(seen: Mapping[int, Sighting], now: float, beat: float) -> Verdict | None:
    """A collective failed on some rank: one that left or is silent did it; the rank that tells of it did not."""
    told = {rank: s.broken for rank, s in seen.items() if s.broken is not None}
    if not told:
        return None
    if any(s.closed is not None for s in seen.values()):
        return None  # a death, as soon as it is certain
    left = sorted(rank for rank, s in seen.items() if s.left and not s.was_asked)
    if left:
        return Verdict("left", tuple(left))
    silent = _silent_for(seen, now, max(5.0, 3 * beat))
    if silent:
        return Verdict("silent", tuple(silent), seconds=now - min(seen[rank].heard for rank in silent))
    rank, first = min(told.items(), key=lambda item: (item[1].time, item[0]))
    if now - first.time < BROKEN_PATIENCE:
        return None
    return Verdict("broken", (rank,), first.code, first.line)
