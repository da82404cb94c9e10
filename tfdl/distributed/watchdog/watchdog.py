"""The thread that watches, on every rank, and what the main thread asks of it."""

import atexit
import math
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import Any

from tfdl.distributed.collective_counts import collective_counts
from tfdl.distributed.watchdog.blame import first_line, is_broken_collective, is_shared
from tfdl.distributed.watchdog.clock import AwakeClock
from tfdl.distributed.watchdog.current import (
    DEFAULT_TIMEOUT,
    LONG_FACTOR,
    Unwatched,
    current_activity,
    current_watchdog,
    set_current_watchdog,
)
from tfdl.distributed.watchdog.dead_man import DeadMan
from tfdl.distributed.watchdog.decision import Sighting, Verdict, allowed_for
from tfdl.distributed.watchdog.ending import leave, say
from tfdl.distributed.watchdog.judge import TURN_SECONDS, Judge
from tfdl.distributed.watchdog.links import Arrival
from tfdl.distributed.watchdog.meeting import Meeting, meet
from tfdl.distributed.watchdog.members import kill_if_here
from tfdl.distributed.watchdog.stacks import python_stacks
from tfdl.distributed.watchdog.termination import Termination, last_words_until
from tfdl.distributed.watchdog.words import sentence
from tfdl.distributed.world import World

# While something may soon become a verdict, the thread looks again this often, in seconds.
_IN_DOUBT_SECONDS = 0.1
# How long a failing rank waits for a judge to print its error, before it prints it itself.
_TELL_SECONDS = 4.0
# How long a rank under which a collective broke waits to be ended with the true cause.
_CAUSE_SECONDS = 8.0
# How long a failing rank may take to end by itself, once the others have gone.
_UNWIND_SECONDS = 1.0
# How long a judge waits for the others to have read its last message.
_PARTING_SECONDS = 0.5


class Watchdog(Unwatched):
    """Watches the ranks of ``world`` from a thread of each, until ``stop`` or the end of the process.

    ``tfdl.distributed.init`` starts one. Every rank sends a heartbeat to the judges (the chief and a deputy), with the
    number of collectives that it has come to; a judge that finds a culprit prints one line and has all ranks end.

    Args:
        world: the ranks.
        meeting: their connections.
        timeout: seconds that others may wait for a rank that makes no progress, and that a rank may give no sign;
            ``math.inf`` leaves errors and deaths to be told of.
    """

    def __init__(self, world: World, meeting: Meeting, timeout: float):
        self._rank, self._members, self._links = world.rank, meeting.members, meeting.links
        self._judges = [rank for rank in meeting.judges if rank != world.rank]
        self._counts = collective_counts()
        self._counted_before = self._counts.read()
        self.timeout = timeout
        # A job of very many ranks beats more slowly, so that its chief can keep up.
        self._slowest_beat = max(1.0, world.size / 100)
        self._clock = AwakeClock(longest=2 * self._slowest_beat + 1.0)
        self._dead_man = DeadMan()
        self._judge = (
            Judge(self._members, meeting.judges.index(world.rank), 0.0) if world.rank in meeting.judges else None
        )
        self._of_judges = {rank: Sighting(heard=0.0, since=0.0) for rank in self._judges}
        self._inbox: deque[dict[str, Any]] = deque()
        self._told, self._stopping = threading.Event(), threading.Event()
        self._has_failed = False
        self._next_beat = time.monotonic()
        self._note: Callable[[int, str], None] | None = None
        self._termination = Termination(self._links.wake_descriptor)
        self._asked_to_end: float | None = None
        self._thread = threading.Thread(target=self._run, name="tfdl watchdog", daemon=True)

    @classmethod
    def start(cls, world: World, timeout: float = DEFAULT_TIMEOUT) -> "Watchdog | None":
        """Starts watching, on every rank at the same point. ``None``, with a warning, where ranks cannot connect.

        Args:
            world: several ranks.
            timeout: see the class; 0 is the same as infinite.
        """
        meeting = meet(world)
        if meeting is None:
            return None
        watchdog = cls(world, meeting, timeout or math.inf)
        set_current_watchdog(watchdog)
        _tell_of_uncaught_errors()
        atexit.register(watchdog.stop)
        watchdog._termination.enter()
        watchdog._thread.start()
        return watchdog

    @property
    def _beat_seconds(self) -> float:
        return min(self._slowest_beat, self.timeout / 10)

    # What the main thread calls.

    def on_verdict(self, note: Callable[[int, str], None] | None) -> None:
        """``note(code, reason)`` is called on the judge that speaks, before it ends the job for another rank's sake."""
        self._note = note

    def set_timeout(self, seconds: float) -> None:
        """Another timeout from now on, the same on all ranks; 0 for no end."""
        self.timeout = seconds or math.inf
        self._links.wake()

    def await_cause(self, error: BaseException) -> None:
        """Where a collective broke, waits for the verdict on the rank that broke it, which ends this process."""
        if is_broken_collective(error):
            self.report_error(error)

    def report_error(self, error: BaseException, line: str = "", code: int = 1) -> bool:
        """Tells the others why this rank is about to end.

        Under an error that is another's doing (a collective that broke) it waits for the judge's verdict instead, which
        ends this process.

        Args:
            error: what was raised.
            line: the error in words, ``error: ...``; none makes them of its type and first line.
            code: the exit code that all ranks should leave with.

        Returns:
            Whether a judge has printed the error, so that nobody else need do it.
        """
        if is_shared(error) or hasattr(error, "told") or not self._thread.is_alive():
            return bool(getattr(error, "told", False))
        vars(error)["told"] = False
        if is_broken_collective(error):
            self._deliver(broken=[code, line or f"error: a collective failed: {first_line(error)}"])
            self._thread.join(_CAUSE_SECONDS)
            return False
        self._has_failed = True
        self._deliver(failed=[code, line or first_line(error)])
        told = self._told.wait(_TELL_SECONDS)
        vars(error)["told"] = told
        return told

    def stop(self) -> None:
        """Says goodbye to the others and watches no longer; what happens after it is nobody's fault."""
        if self._has_failed or not self._thread.is_alive():
            return
        self._termination.exit()
        self._stopping.set()
        self._links.wake()
        self._thread.join(2.0)
        set_current_watchdog(None)

    def _deliver(self, **message: Any) -> None:
        self._inbox.append(message)
        self._links.wake()

    # What the thread does.

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._turn()
            self._say_goodbye("done")
        finally:
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
                self._pronounce(self._judge)
        else:
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
        allowed = limit if limit is not None else allowed_for(self.timeout, LONG_FACTOR)
        # JSON has no infinity that others read, so a year stands for it.
        return [begun, done, activity.ticks, activity.step, doing, min(allowed, 3e7) if doing else 0.0]

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
            self._links.judges[rank].send(stacks=python_stacks())
        elif message.get("told"):
            self._told.set()
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
        if signal.SIGTERM in self._links.signals and self._asked_to_end is None and self._termination.is_in_force:
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
        if self._note is not None and self._rank not in excused:
            self._note(verdict.code, judge.line())
        for rank in excused:
            if rank in self._links.members:
                self._links.members[rank].send(told=True)
        self._told.set()
        kill = list(verdict.ranks) if verdict.kind == "silent" else []
        self._links.to_members(end=verdict.code, kill=kill, excused=excused)
        parting = time.monotonic() + _PARTING_SECONDS
        while self._links.members.keys() - excused and (left := parting - time.monotonic()) > 0:
            self._links.poll(left)
        self._end(verdict.code, kill, self._rank in excused)

    def _end(self, code: int, kill: list[int], excused: bool) -> None:
        """Ends this process; one that fails by itself gets the time to say more (a traceback) and to leave."""
        self._dead_man.disarm()
        if excused:
            time.sleep(_UNWIND_SECONDS)
        for rank in kill:
            kill_if_here(self._members[rank])
        leave(code)


@cache
def _tell_of_uncaught_errors() -> None:
    """Plain scripts end with a traceback: the cause goes first."""
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        current_watchdog().report_error(error)
        before(kind, error, trace)

    sys.excepthook = hook
