"""Signals before training has begun to watch for them, and after it has."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

import click

from tfdl.errors import StoppedBetweenStepsError

# Well below the time that launchers give between SIGTERM and SIGKILL.
_GRACE_SECONDS = 2.0


@contextmanager
def time_to_speak(asked_to_end: Event) -> Iterator[None]:
    """Gives a launched rank two more seconds after SIGTERM while a run starts, and notes that the signal came.

    When one rank ends over bad input, the launcher sends SIGTERM to the others at once; rank 0 must still get to print
    its one line. Training itself, which lasts, has a handler of its own (``tfdl.training.signals``).

    Args:
        asked_to_end: set once the launcher has asked this rank to end.
    """

    def grant(*_: Any) -> None:
        asked_to_end.set()
        signal.setitimer(signal.ITIMER_REAL, _GRACE_SECONDS)

    def end(*_: Any) -> None:
        raise click.Abort

    before = {
        signal.SIGTERM: signal.signal(signal.SIGTERM, grant),
        signal.SIGALRM: signal.signal(signal.SIGALRM, end),
    }
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stop_between_steps() -> Iterator[None]:
    """Ends with exit code 75 on SIGUSR1 while no steps are under way: what is unsaved then is made anew.

    A scheduler may send its warning while data is prepared or a model is compiled; the signal's default, to kill the
    process, would read as a failure there.
    """

    def stop(*_: Any) -> None:
        raise StoppedBetweenStepsError("stopped by SIGUSR1 while no steps were under way; go on with --resume")

    before = signal.signal(signal.SIGUSR1, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)
