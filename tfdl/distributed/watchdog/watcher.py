"""The thread that watches, on every rank: sends heartbeats, takes in what arrives, and carries out the verdict."""

import contextlib
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from tfdl.distributed.collective_counts import collective_counts
from tfdl.distributed.watchdog.clock import AwakeClock
from tfdl.distributed.watchdog.current import LONG_FACTOR, current_activity
from tfdl.distributed.watchdog.dead_man import DeadMan
from tfdl.distributed.watchdog.decision import ALL_KINDS, HANGING_KINDS, Sighting, Verdict
from tfdl.distributed.watchdog.ending import leave, say
from tfdl.distributed.watchdog.judge import TURN_SECONDS, Judge
from tfdl.distributed.watchdog.links import Arrival
from tfdl.distributed.watchdog.meeting import Meeting
from tfdl.distributed.watchdog.members import kill_if_here
from tfdl.distributed.watchdog.stacks import python_stacks
from tfdl.distributed.watchdog.termination import Termination, last_words_until
from tfdl.distributed.watchdog.words import sentence

# While something may soon become a verdict, the thread looks again this often, in seconds.
_IN_DOUBT_SECONDS = 0.1
# How long a failing rank may take to end by itself, once the others have gone.
_UNWIND_SECONDS = 1.0
# How long a judge waits for the others to have read its last message.
_PARTING_SECONDS = 0.5
# JSON has no infinity that others read; a year stands for it.
_FOR_EVER = 3e7


class Watcher(threading.Thread):
    """One rank's thread; a judge's also decides. Its methods are the thread's own, but for the first four.

    Args:
        rank: this rank.
        meeting: the ranks and their connections.
        timeout: as the ``Watchdog``'s; may be changed while it runs.
        spares_others: as the ``Watchdog``'s.
    """

    def __init__(self, rank: int, meeting: Meeting, timeout: float, spares_others: bool):
        super().__init__(name="tfdl watchdog", daemon=True)
        self._rank, self._members, self._links = rank, meeting.members, meeting.links
        self.timeout, self._spares_others = timeout, spares_others
        self.note: Callable[[int, str], None] | None = None
        """What a judge calls with code and reason before it ends the job for another rank's sake."""
        self.told = threading.Event()
        """Set once a judge has printed this rank's error."""
        self.termination = Termination(self._links.wake_descriptor)
        self._counts = collective_counts()
        self._counted_before = self._counts.read()
        # A job of very many ranks beats more slowly, so that its chief can keep up.
        self._slowest_beat = max(1.0, len(self._members) / 100)
        self._clock = AwakeClock(longest=2 * self._slowest_beat + 1.0)
        self._dead_man = DeadMan()
        self._judge: Judge | None = None
        if rank in meeting.judges:
            kinds = HANGING_KINDS if spares_others else ALL_KINDS
            self._judge = Judge(self._members, meeting.judges.index(rank), 0.0, kinds)
        self._of_judges = {judge: Sighting(heard=0.0, since=0.0) for judge in meeting.judges if judge != rank}
        self._inbox: deque[dict[str, Any]] = deque()
        self._stopping = threading.Event()
        self._asked_to_end: float | None = None
        self._next_beat = time.monotonic()

    def deliver(self, **message: Any) -> None:
        """Sends a message to the judges; from any thread."""
        self._inbox.append(message)
        self._links.wake()

    def finish(self) -> None:
        """Has the thread say goodbye and end; from any thread."""
        self._stopping.set()
        self._links.wake()

    @property
    def _beat_seconds(self) -> float:
        return min(self._slowest_beat, self.timeout / 10)

    def run(self) -> None:
        """Until the goodbye, or the end of the process."""
        try:
            while not self._stopping.is_set():
                self._turn()
        finally:
            with contextlib.suppress(Exception):  # without it the others would take this rank for dead
                self._say_goodbye("done")
            self._dead_man.disarm()
            self._links.close()

    def _turn(self) -> None:
        wait = self._next_beat - time.monotonic()
        if self._judge is not None and self._judge.is_in_doubt:
            wait = min(wait, _IN_DOUBT_SECONDS)
        arrivals = self._links.poll(wait)
        now = self._clock.advance()
        for arrival in arrivals:
            self._take(arrival, now)
        while self._inbox:
            self._to_all_judges({"report": self._report()}, now)
            self._to_all_judges(self._inbox.popleft(), now)
        if time.monotonic() >= self._next_beat:
            self._beat(now)
        if self._judge is not None:
            self._judge.connections = self._links.members
            if self._judge.consider(now, self.timeout, self._beat_seconds):
                (self._remove if self._spares_others else self._pronounce)(self._judge)
        elif not self._spares_others:
            self._miss_the_judges(now)
        self._heed_termination()

    def _beat(self, now: float) -> None:
        self._next_beat = time.monotonic() + self._beat_seconds
        self._dead_man.wind(self.timeout)
        self._to_all_judges({"report": self._report()}, now)
        self._links.to_members(beat=True)

    def _report(self) -> list[Any]:
        begun, done = (count - before for count, before in zip(self._counts.read(), self._counted_before, strict=True))
        activity = current_activity()
        doing, limit = activity.doing, activity.limit
        if not doing and self._counts.is_compiling:
            doing = "compiling"
        allowed = limit if limit is not None else LONG_FACTOR * self.timeout
        return [begun, done, activity.ticks, activity.step, doing, min(allowed, _FOR_EVER) if doing else 0.0]

    def _to_all_judges(self, message: dict[str, Any], now: float) -> None:
        if self._judge is not None:
            self._judge.handle(self._rank, message, now)
        self._links.to_judges(**message)

    def _take(self, arrival: Arrival, now: float) -> None:
        rank, message = arrival.rank, arrival.message
        if not arrival.from_judge:
            assert self._judge is not None
            if message is None:
                self._judge.lost(rank, now)
            elif rank in self._judge.seen:
                self._judge.handle(rank, message, now)
            return
        judge = self._of_judges[rank]
        judge.heard = now
        if message is None:
            judge.closed = None if judge.left else now
        elif message.get("bye"):
            judge.left = True
        elif message.get("stacks"):
            if rank in self._links.judges:
                self._links.judges[rank].send(stacks=python_stacks())
        elif message.get("told"):
            self.told.set()
        elif "kill" in message and "end" not in message:
            for culprit in message["kill"]:
                kill_if_here(self._members[culprit])
        elif "end" in message:
            self._end(int(message["end"]), list(message["kill"]), self._rank in message["excused"])

    def _miss_the_judges(self, now: float) -> None:
        """A rank from which all judges are gone ends by itself: it is cut off, or they are."""
        watched = {rank: judge for rank, judge in self._of_judges.items() if not judge.left}
        lost = {
            rank: judge
            for rank, judge in watched.items()
            if now - (judge.closed if judge.closed is not None else judge.heard + self.timeout) > 2 * TURN_SECONDS
        }
        if not watched or len(lost) < len(watched):
            return
        kind = "died" if all(judge.closed is not None for judge in lost.values()) else "silent"
        seconds = now - min(judge.heard for judge in lost.values())
        verdict = Verdict(kind, tuple(lost), seconds=seconds)  # type: ignore[arg-type]
        say(f"tfdl: {sentence(verdict, [member.host for member in self._members], self._of_judges)}\n")
        self._end(1, [], excused=False)

    def _heed_termination(self) -> None:
        """On SIGTERM, ends the process at once, or after the verdict that is under way."""
        if signal.SIGTERM in self._links.signals and self._asked_to_end is None and self.termination.is_in_force:
            self._asked_to_end = time.monotonic()
        if self._asked_to_end is None:
            return
        in_doubt = self._judge is not None and self._judge.is_in_doubt
        if not in_doubt or time.monotonic() > last_words_until(self._asked_to_end):
            self._say_goodbye("asked")
            leave(128 + signal.SIGTERM)

    def _say_goodbye(self, why: str) -> None:
        self._links.to_judges(report=self._report())
        self._links.to_judges(bye=why)
        self._links.to_members(bye=why)

    def _pronounce(self, judge: Judge) -> None:
        """Says who it was, and has all ranks end."""
        verdict = judge.verdict
        assert verdict is not None
        judge.keep_stacks(self._rank, python_stacks())
        say(judge.account())
        excused = [rank for rank, s in judge.seen.items() if s.failure and s.failure.line == verdict.line]
        if self.note is not None and self._rank not in excused:
            self.note(verdict.code, judge.line())
        for rank in excused:
            if rank in self._links.members:
                self._links.members[rank].send(told=True)
        self.told.set()
        kill = list(verdict.ranks) if verdict.kind == "silent" else []
        self._links.to_members(end=verdict.code, kill=kill, excused=excused)
        parting = time.monotonic() + _PARTING_SECONDS
        while self._links.members.keys() - excused and (left := parting - time.monotonic()) > 0:
            self._links.poll(left)
        self._end(verdict.code, kill, self._rank in excused)

    def _remove(self, judge: Judge) -> None:
        """Says who hangs, and has it end alone."""
        assert judge.verdict is not None
        culprits = list(judge.verdict.ranks)
        judge.keep_stacks(self._rank, python_stacks())
        say(judge.account())
        for rank in culprits:
            if rank in self._links.members:
                self._links.members[rank].send(end=1, kill=[], excused=[])
        if self._rank in culprits:
            self._end(1, [], excused=False)
        if judge.verdict.kind == "silent":
            self._links.to_members(kill=culprits)
            for rank in culprits:
                kill_if_here(self._members[rank])
        judge.dismiss()

    def _end(self, code: int, kill: list[int], excused: bool) -> None:
        """Ends this process; one that fails by itself gets the time to say more (a traceback) and to leave."""
        self._dead_man.disarm()
        if excused:
            time.sleep(_UNWIND_SECONDS)
        for rank in kill:
            kill_if_here(self._members[rank])
        leave(code)
