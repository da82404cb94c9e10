"""Signals while no training steps run: at the start of a command, and between preparing data and the first step."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

import click

from tfdl.errors import StoppedBetweenStepsError

# Well below the time that launchers wait between SIGTERM and SIGKILL.
_GRACE_SECONDS = 2.0


@contextmanager
def delayed_termination(termination_requested: Event) -> Iterator[None]:
    """Lets a launched rank run for two more seconds after SIGTERM.

    When one rank ends because of bad input, the launcher sends SIGTERM to the others at once. Rank 0 must still have
    the time to print the error. Training installs its own handler for its steps (``tfdl.training.signals``).

    Args:
        termination_requested: set when SIGTERM arrives.
    """

    def start_timer(*_: Any) -> None:
        termination_requested.set()
        signal.setitimer(signal.ITIMER_REAL, _GRACE_SECONDS)

    def abort(*_: Any) -> None:
        raise click.Abort

    previous_handlers = {
        signal.SIGTERM: signal.signal(signal.SIGTERM, start_timer),
        signal.SIGALRM: signal.signal(signal.SIGALRM, abort),
    }
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in previous_handlers.items():
            signal.signal(number, handler)


@contextmanager
def stop_between_steps() -> Iterator[None]:
    """Ends with exit code 75 on SIGUSR1 while no steps run. Nothing is lost: a resumed run does that work again.

    A scheduler may send its warning while data is prepared or a model is compiled. The default action of SIGUSR1 kills
    the process, and the scheduler would take that for a failure.
    """

    def stop(*_: Any) -> None:
        raise StoppedBetweenStepsError("stopped by SIGUSR1 while no training steps ran; continue with --resume")

    previous_handler = signal.signal(signal.SIGUSR1, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, previous_handler)
