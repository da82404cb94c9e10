"""Notes a signal that asks the run to stop. Training acts on it between steps."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class StopRequest:
    """Within its block, SIGTERM, SIGINT and SIGUSR1 are noted instead of ending the process.

    A second SIGINT interrupts at once. Outside the main thread, where Python allows no signal handlers, signals act as
    before.
    """

    def __init__(self) -> None:
        self.name = ""
        """The signal that came, such as ``SIGTERM``; empty if none came."""
        self._previous_handlers: dict[signal.Signals, Any] = {}

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
        if self.name == "SIGINT" and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.name = signal.Signals(number).name
