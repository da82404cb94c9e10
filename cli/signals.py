"""Signals of commands: those that end one, and those while no training steps run."""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import TracebackType
from typing import Any

import click

from tfdl.errors import StoppedBetweenStepsError

# Well below the time that launchers wait between SIGTERM and SIGKILL.
_GRACE_SECONDS = 2.0
# How long the first signal's cleaning up is left alone. A terminal that closes, or a service that is stopped, sends
# several signals at once.
_CLEANUP_SECONDS = 5.0
_MOMENT_SECONDS = 0.02


class SignalledError(BaseException):
    """A signal asked the command to end. Like ``KeyboardInterrupt`` it is no ``Exception``, so that only blocks that
    clean up see it.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int):
        self.name = signal.Signals(number).name
        super().__init__(f"stopped by {self.name}")
        self.exit_code = 128 + number
        """What a shell reports of a program that this signal ended."""


class EndingSignals:
    """Within its block, SIGTERM and SIGHUP raise ``SignalledError``, so that nothing half-written is left.

    Their default action ends the process at once: temporary files stay, and so do the processes that it has started. A
    signal that is ignored, as SIGHUP is under nohup, or that the calling program handles, stays as it is. Outside the
    main thread, where Python allows no handlers, signals act as before.

    Python ignores an error that is raised while it frees an object or calls a weak reference's function. It is then
    raised again, a moment later.
    """

    def __init__(self) -> None:
        self.error: SignalledError | None = None
        """What was raised; None if no signal came. Code that Python does not control may have raised another error in
        its place."""
        self._raised_at = 0.0
        self._handled: list[signal.Signals] = []
        self._unraisable_hook: Any = None

    def __enter__(self) -> "EndingSignals":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) == signal.SIG_DFL:
                    signal.signal(number, self._end)
                    self._handled.append(number)
        if self._handled and signal.getsignal(signal.SIGALRM) == signal.SIG_DFL:
            signal.signal(signal.SIGALRM, self._raise_again)
            self._handled.append(signal.SIGALRM)
            self._unraisable_hook = sys.unraisablehook
            sys.unraisablehook = self._on_unraisable
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if signal.SIGALRM in self._handled:
            signal.setitimer(signal.ITIMER_REAL, 0)
            sys.unraisablehook = self._unraisable_hook
        for number in self._handled:
            signal.signal(number, signal.SIG_DFL)

    def _on_unraisable(self, unraisable: Any) -> None:
        if isinstance(unraisable.exc_value, SignalledError):
            signal.setitimer(signal.ITIMER_REAL, _MOMENT_SECONDS)
            return
        self._unraisable_hook(unraisable)

    def _raise_again(self, *_: Any) -> None:
        if self.error is not None:
            raise self.error

    def _end(self, number: int, _: Any) -> None:
        now = time.monotonic()
        if self.error is not None and now - self._raised_at < _CLEANUP_SECONDS:
            return
        self._raised_at = now
        self.error = SignalledError(number)
        raise self.error


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
def stop_between_steps(launcher: str = "none") -> Iterator[None]:
    """Ends with exit code 75 on SIGUSR1 while no steps run. Nothing is lost: a resumed run does that work again.

    A scheduler may send its warning while data is prepared or a model is compiled. The default action of SIGUSR1 kills
    the process, and the scheduler would take that for a failure. SIGTERM does the same where it asks for a stop: of a
    process without a launcher, and of srun's ranks, to which Slurm sends it before it preempts a job. horovodrun sends
    it to end the ranks after a failure.

    A script may start tfdl with these signals blocked, so that none comes before there is a handler.

    Args:
        launcher: the name of the program that started this process.
    """
    numbers = (signal.SIGUSR1, signal.SIGTERM) if launcher in ("none", "srun") else (signal.SIGUSR1,)

    def stop(number: int, _: Any) -> None:
        name = signal.Signals(number).name
        raise StoppedBetweenStepsError(f"stopped by {name} while no training steps ran; continue with --resume")

    previous_handlers = {number: signal.signal(number, stop) for number in numbers}
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGUSR1, signal.SIGTERM))
        yield
    finally:
        for number, handler in previous_handlers.items():
            signal.signal(number, handler)
