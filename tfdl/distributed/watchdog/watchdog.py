"""The watchdog over the ranks, as the main thread sees it."""

import atexit
import math
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from tfdl.distributed.watchdog.blame import first_line, is_broken_collective, is_shared
from tfdl.distributed.watchdog.current import DEFAULT_TIMEOUT, Unwatched, current_watchdog, set_current_watchdog
from tfdl.distributed.watchdog.meeting import meet
from tfdl.distributed.watchdog.watcher import Watcher
from tfdl.distributed.world import World

# How long a failing rank waits for a judge to print its error, before it prints it itself.
_TELL_SECONDS = 4.0
# How long a rank under which a collective broke waits to be ended with the true cause.
_CAUSE_SECONDS = 8.0


class Watchdog(Unwatched):
    """Watches the ranks from a thread of each, until ``stop`` or the end of the process; ``start`` makes one.

    Every rank sends a heartbeat to the judges (the chief and a deputy), with the number of collectives that it has come
    to; a judge that finds a culprit prints one line and has all ranks end.
    """

    def __init__(self, watcher: Watcher, spares_others: bool):
        self._watcher, self._spares_others = watcher, spares_others
        self._has_failed = False

    @classmethod
    def start(cls, world: World, timeout: float = DEFAULT_TIMEOUT, *, spares_others: bool = False) -> "Watchdog | None":
        """Starts watching, on every rank at the same point. ``None``, with a warning, where ranks cannot connect.

        Args:
            world: several ranks.
            timeout: seconds that others may wait for a rank that makes no progress, and that a rank may give no sign; 0
                for no end, which leaves errors and deaths to be told of.
            spares_others: a rank that hangs is ended alone, and the others go on without it (elastic training): their
                collectives break, and they meet again. Errors and deaths are then left to whoever makes them meet.
        """
        meeting = meet(world)
        if meeting is None:
            return None
        watchdog = cls(Watcher(world.rank, meeting, timeout or math.inf, spares_others), spares_others)
        set_current_watchdog(watchdog)
        _tell_of_uncaught_errors()
        atexit.register(watchdog.stop)
        watchdog._watcher.termination.enter()
        watchdog._watcher.start()
        return watchdog

    def on_verdict(self, note: Callable[[int, str], None] | None) -> None:
        """``note(code, reason)`` is called on the judge that speaks, before it ends the job for another rank's sake."""
        self._watcher.note = note

    def set_timeout(self, seconds: float) -> None:
        """Another timeout from now on, the same on all ranks; 0 for no end."""
        self._watcher.timeout = seconds or math.inf

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
        if self._spares_others or is_shared(error) or hasattr(error, "told") or not self._watcher.is_alive():
            return bool(getattr(error, "told", False))
        vars(error)["told"] = False
        if is_broken_collective(error):
            self._watcher.deliver(broken=[code, line or f"error: a collective failed: {first_line(error)}"])
            self._watcher.join(_CAUSE_SECONDS)
            return False
        self._has_failed = True
        self._watcher.deliver(failed=[code, line or first_line(error)])
        told = self._watcher.told.wait(_TELL_SECONDS)
        vars(error)["told"] = told
        return told

    def stop(self) -> None:
        """Says goodbye to the others and watches no longer; what happens after it is nobody's fault."""
        if self._has_failed or not self._watcher.is_alive():
            return
        self._watcher.termination.exit()
        self._watcher.finish()
        self._watcher.join(2.0)
        set_current_watchdog(None)


@cache
def _tell_of_uncaught_errors() -> None:
    """Plain scripts end with a traceback: the cause goes first."""
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        current_watchdog().report_error(error)
        before(kind, error, trace)

    sys.excepthook = hook
