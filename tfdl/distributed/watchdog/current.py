"""The watchdog of this process, and what the main thread reports to it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

# Seconds that other ranks may wait for a rank that makes no progress. Anything that one rank does alone during training
# (a slow file system, an evaluation on rank 0) must fit into it or be declared with `long_work`.
DEFAULT_TIMEOUT = 600.0
# The limit of declared long work, in timeouts, unless another limit is declared.
LONG_WORK_FACTOR = 10.0


@dataclass
class Activity:
    """What the main thread leaves for the watchdog's thread to read.

    The fields are plain and have no lock: each is written by one thread, and a slightly old value does no harm.
    """

    ticks: int = 0
    step: int = 0
    long_work: str = ""
    limit: float | None = None
    """Seconds that ``long_work`` may take; ``None`` for ``LONG_WORK_FACTOR`` timeouts."""
    is_rejoining: bool = False
    """Whether this rank has left the other ranks, and waits to join the new ones."""


_activity = Activity()


class NullWatchdog:
    """Does nothing. It is the watchdog of a single rank, and of every process before ``init``."""

    def set_timeout(self, seconds: float) -> None:
        """Ignores the timeout."""

    def await_cause(self, error: BaseException) -> None:
        """Returns immediately: no other rank can be the cause."""

    def report_error(self, error: BaseException, line: str = "", code: int = 1) -> bool:  # noqa: ARG002
        """Returns ``False``: nothing has printed the error."""
        return False

    def on_verdict(self, note: Callable[[int, str], str] | None) -> None:
        """Ignores the callback."""

    def stop(self) -> None:
        """Does nothing."""


_current: NullWatchdog = NullWatchdog()


def current_watchdog() -> NullWatchdog:
    """Returns the running watchdog, or one that does nothing."""
    return _current


def set_current_watchdog(watchdog: NullWatchdog | None) -> None:
    """Sets the watchdog that ``current_watchdog`` returns; ``None`` for one that does nothing."""
    global _current
    _current = watchdog or NullWatchdog()


def current_activity() -> Activity:
    """Returns the latest state that this process's main thread has recorded."""
    return _activity


def tick(step: int | None = None) -> None:
    """Records a sign of progress outside of collectives. It costs almost nothing.

    Args:
        step: the number of finished optimizer steps, if it is known.
    """
    _activity.ticks += 1
    if step is not None:
        _activity.step = step


@contextmanager
def long_work(doing: str, limit: float | None = None) -> Iterator[None]:
    """Declares that this rank may keep the others waiting within the block, without any sign of progress.

    Args:
        doing: what the rank does, for the error message if it takes too long, such as ``"saving a checkpoint"``.
        limit: the longest time in seconds; ``None`` for ten times the watchdog's timeout, ``math.inf`` for no limit.
    """
    outer_work = _activity.long_work
    outer_limit = _activity.limit
    _activity.long_work = doing
    _activity.limit = limit
    tick()
    try:
        yield
    finally:
        _activity.long_work = outer_work
        _activity.limit = outer_limit
        tick()


@contextmanager
def rejoining() -> Iterator[None]:
    """Declares that this rank waits for the new ranks of an elastic job within the block.

    The other ranks must do the same: one that does not, and makes no progress, hangs.
    """
    _activity.is_rejoining = True
    try:
        yield
    finally:
        _activity.is_rejoining = False
