"""Notes what asks the run to stop: a signal, or the end of its time. Training acts on it between steps."""

import math
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class StopRequest:
    """Within its block, SIGTERM, SIGINT and SIGUSR1 are noted instead of ending the process.

    A second SIGINT interrupts at once. Outside the main thread, where Python allows no signal handlers, signals act as
    before.

    Args:
        deadline: when the run's time is over, in seconds since the epoch.
    """

    def __init__(self, deadline: float = math.inf) -> None:
        self._signal = ""
        self._deadline = deadline
        self._previous_handlers: dict[signal.Signals, Any] = {}

    @property
    def name(self) -> str:
        """What asks for a stop, such as ``SIGTERM`` or ``the time limit``; empty if nothing does."""
        if self._signal:
            return self._signal
        return "the time limit" if time.time() >= self._deadline else ""

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._previous_handlers[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self._signal == "SIGINT" and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._signal = signal.Signals(number).name
