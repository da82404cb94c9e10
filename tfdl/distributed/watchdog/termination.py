"""SIGTERM in plain scripts: the launcher sends it as soon as any rank is gone, often before the cause is told."""

import os
import signal
import threading
import time
from types import FrameType

# Below the time that launchers give between SIGTERM and SIGKILL.
_LAST_WORDS_SECONDS = 3.0


class Termination:
    """Lets the watchdog's thread, and not the default action, end the process on SIGTERM.

    Python's handlers run in the main thread, which may be stuck in a collective; the byte that Python's C handler
    writes to ``descriptor`` reaches the watchdog's thread at once. A handler of the program's own stays as it is: then
    nothing here is in force.

    Args:
        descriptor: a non-blocking pipe end that wakes the watchdog's thread.
    """

    def __init__(self, descriptor: int):
        self._descriptor = descriptor
        self._is_set = False

    def enter(self) -> None:
        """Installs the handler, where the default action is in force and nobody else uses the wake-up descriptor."""
        if threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            return
        other = signal.set_wakeup_fd(self._descriptor, warn_on_full_buffer=False)
        if other != -1:
            signal.set_wakeup_fd(other)
            return
        signal.signal(signal.SIGTERM, self._handle)
        self._is_set = True

    def exit(self) -> None:
        """Back to the default action; from the main thread."""
        if not self._is_set or threading.current_thread() is not threading.main_thread():
            return
        self._is_set = False
        signal.set_wakeup_fd(-1)
        if self.is_in_force:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    @property
    def is_in_force(self) -> bool:
        """Whether SIGTERM comes here, and not to a handler that the program has set since."""
        return signal.getsignal(signal.SIGTERM) == self._handle

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """In the main thread: the watchdog's thread ends the process sooner, if it lives."""
        time.sleep(_LAST_WORDS_SECONDS + 1.0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)


def last_words_until(asked: float) -> float:
    """When a process that was asked to end at ``asked`` must be gone, on the same clock."""
    return asked + _LAST_WORDS_SECONDS
