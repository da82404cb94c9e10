"""The watchdog over the ranks, as the main thread uses it."""

import atexit
import math
import sys
import time
from collections.abc import Callable
from functools import cache
from types import TracebackType

from tfdl.distributed.watchdog.current import DEFAULT_TIMEOUT, NullWatchdog, current_watchdog, set_current_watchdog
from tfdl.distributed.watchdog.error_origin import is_broken_collective, is_shared
from tfdl.distributed.watchdog.peers import connect_peers
from tfdl.distributed.watchdog.watcher import Watcher
from tfdl.distributed.world import World
from tfdl.errors import named_cause

# How long a failing rank waits for a coordinator to print its error, before it prints the error itself.
_PRINT_SECONDS = 4.0
# How long a failing rank waits after a coordinator has printed its error. A launcher forwards the output of each rank
# in a separate thread, so it might print this rank's traceback first.
_FORWARD_SECONDS = 0.2
# How long a rank with a broken collective waits for the coordinator to end it with the true cause.
_CAUSE_SECONDS = 8.0
# How long `stop` waits for the watchdog's thread to say goodbye.
_GOODBYE_SECONDS = 2.0


class Watchdog(NullWatchdog):
    """Watches the ranks, with one thread on each, until ``stop`` or the end of the process. ``start`` makes one.

    Every rank sends heartbeats to the coordinators (rank 0 and a deputy), with the number of collectives that it has
    entered. A coordinator that finds a culprit prints one line and ends all ranks.
    """

    def __init__(self, watcher: Watcher, elastic: bool):
        self._watcher = watcher
        self._elastic = elastic
        self._has_failed = False

    @classmethod
    def start(cls, world: World, timeout: float = DEFAULT_TIMEOUT, *, elastic: bool = False) -> "Watchdog | None":
        """Starts the watchdog. All ranks must call it at the same point.

        Args:
            world: several ranks.
            timeout: seconds that other ranks may wait for a rank that makes no progress, and that a rank may send no
                heartbeat; 0 for no limit, so that only errors and deaths are reported.
            elastic: a rank that hangs is ended alone, and the others continue without it: their collectives fail, and
                they rejoin. Until they have, a rank that does not come hangs, too. Errors and deaths are left to the
                caller, which makes the ranks rejoin. Then the watchdog is stopped, and the new ranks start another.

        Returns:
            The watchdog; ``None``, with a warning, if the ranks cannot connect.
        """
        peers = connect_peers(world)
        if peers is None:
            return None
        watcher = Watcher(world.rank, peers, timeout or math.inf, elastic)
        watchdog = cls(watcher, elastic)
        set_current_watchdog(watchdog)
        _report_uncaught_errors()
        atexit.register(watchdog.stop)
        watcher.termination.install()
        watcher.start()
        return watchdog

    def on_verdict(self, note: Callable[[int, str], str] | None) -> None:
        """Sets a function that a coordinator calls before it ends the job because of another rank.

        Args:
            note: called with the exit code and the reason, in the watchdog's thread; returns advice to print after the
                error, or an empty text. ``None`` for no call.
        """
        self._watcher.enforcement.note = note

    def set_timeout(self, seconds: float) -> None:
        """Changes the timeout, which must be the same on all ranks; 0 for no limit."""
        self._watcher.timeout = seconds or math.inf

    def await_cause(self, error: BaseException) -> None:
        """If a collective failed, waits for the verdict on the rank that broke it, which ends this process."""
        if is_broken_collective(error):
            self.report_error(error)

    def report_error(self, error: BaseException, line: str = "", code: int = 1) -> bool:
        """Sends the coordinators the error that is about to end this rank.

        If another rank caused the error (a collective failed), this waits for the coordinator's verdict, which ends
        this process.

        Args:
            error: the exception.
            line: the message, ``error: ...``; made of the error's type and first line if empty.
            code: the exit code that all ranks should end with.

        Returns:
            Whether a coordinator has printed the error, so that the caller need not print it.
        """
        if hasattr(error, "was_printed"):  # reported before
            return bool(error.was_printed)
        if self._elastic or is_shared(error) or not self._watcher.is_alive():
            return False
        vars(error)["was_printed"] = False
        if is_broken_collective(error):
            line = line or f"error: a collective failed: {named_cause(error)}"
            self._watcher.deliver(broken=[code, line])
            self._watcher.join(_CAUSE_SECONDS)
            return False
        self._has_failed = True
        self._watcher.deliver(failed=[code, line or f"error: {named_cause(error)}"])
        was_printed = self._watcher.enforcement.error_printed.wait(_PRINT_SECONDS)
        vars(error)["was_printed"] = was_printed
        if was_printed:
            time.sleep(_FORWARD_SECONDS)
        return was_printed

    def stop(self) -> None:
        """Says goodbye to the other ranks and stops watching. What happens later is not blamed on this rank."""
        if self._has_failed or not self._watcher.is_alive():
            return
        self._watcher.termination.uninstall()
        self._watcher.finish()
        self._watcher.join(_GOODBYE_SECONDS)
        atexit.unregister(self.stop)
        set_current_watchdog(None)


@cache
def _report_uncaught_errors() -> None:
    """Makes a plain script report the error that ends it before Python prints the traceback."""
    previous_hook = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        current_watchdog().report_error(error)
        previous_hook(kind, error, traceback)

    sys.excepthook = hook
