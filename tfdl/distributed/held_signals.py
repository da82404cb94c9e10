"""Signals that wait until the ranks are connected."""

import signal
import threading
from collections.abc import Iterable
from types import FrameType, TracebackType
from typing import Any

STOP_SIGNALS = (signal.SIGUSR1, signal.SIGTERM)
"""What schedulers send to all ranks of a job that should stop."""


class HeldSignals:
    """Within its block, signals are noted. At the end of the block they are handled.

    A rank that ends while Horovod connects the ranks makes the others abort. A scheduler sends a signal to all ranks,
    but not at the same moment.

    A signal that is ignored or has its default action acts at once, as it does outside of the block. So do all signals
    outside the main thread, where Python allows no handlers.

    Args:
        numbers: the signals to hold.
    """

    def __init__(self, numbers: Iterable[signal.Signals] = ()):
        self._numbers = tuple(numbers)
        self._noted: signal.Signals | None = None
        self._previous_handlers: dict[signal.Signals, Any] = {}

    @property
    def name(self) -> str:
        """The signal that has arrived, such as ``SIGUSR1``; empty if none has."""
        return "" if self._noted is None else self._noted.name

    def __enter__(self) -> "HeldSignals":
        if threading.current_thread() is threading.main_thread():
            for number in self._numbers:
                if callable(signal.getsignal(number)):
                    self._previous_handlers[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)
        if error is None and self._noted is not None:
            signal.raise_signal(self._noted)

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self._noted = self._noted or signal.Signals(number)
