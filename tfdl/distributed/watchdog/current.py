"""The watchdog of this process, and what a program tells it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

# Seconds that others may wait for a rank that does nothing. What a rank does alone in the middle of training (a slow
# file system, an evaluation on the chief) must fit into it, or be declared.
DEFAULT_TIMEOUT = 600.0
# How many timeouts declared work may take, when it does not say itself.
LONG_FACTOR = 10.0


@dataclass
class Activity:
    """What the main thread leaves for the watchdog's thread to read: plain fields, no locks."""

    ticks: int = 0
    step: int = 0
    doing: str = ""
    limit: float | None = None
    """Seconds that ``doing`` may take; none for ten timeouts."""


_activity = Activity()


class Unwatched:
    """Where there is nobody to watch: one rank alone, or before ``init``."""

    def set_timeout(self, seconds: float) -> None:
        """Nobody to wait for."""

    def await_cause(self, error: BaseException) -> None:
        """Nobody else who could be the cause."""

    def report_error(self, error: BaseException, line: str = "", code: int = 1) -> bool:  # noqa: ARG002
        """Nobody to tell."""
        return False

    def on_verdict(self, note: Callable[[int, str], None] | None) -> None:
        """Nothing to note."""

    def stop(self) -> None:
        """Nothing to stop."""


_current: Unwatched = Unwatched()


def current_watchdog() -> Unwatched:
    """The watchdog that runs, or one that does nothing."""
    return _current


def set_current_watchdog(watchdog: Unwatched | None) -> None:
    """Makes ``watchdog`` the one that others find; none for nobody."""
    global _current
    _current = watchdog or Unwatched()


def current_activity() -> Activity:
    """What this process last said of itself."""
    return _activity


def tick(step: int | None = None) -> None:
    """A sign of progress: the rank is at work, though not in a collective. Costs next to nothing.

    Args:
        step: the optimizer steps done by now, where that is known.
    """
    _activity.ticks += 1
    if step is not None:
        _activity.step = step


@contextmanager
def long_work(doing: str, limit: float | None = None) -> Iterator[None]:
    """Within the block this rank may keep the others waiting: it is at something long that gives no sign of progress.

    Args:
        doing: what, for the message when it takes too long: ``"saving a checkpoint"``.
        limit: seconds; none for ten times the watchdog's timeout, ``math.inf`` for no end.
    """
    before = _activity.doing, _activity.limit
    _activity.doing, _activity.limit = doing, limit
    tick()
    try:
        yield
    finally:
        _activity.doing, _activity.limit = before
        tick()
