"""SIGTERM in plain scripts: the launcher sends it as soon as one rank has ended, often before the cause is printed."""

import os
import signal
import threading
import time
from types import FrameType

# Less than the time that launchers allow between SIGTERM and SIGKILL.
_GRACE_SECONDS = 3.0


class Termination:
    """Lets the watchdog's thread end the process on SIGTERM, in place of the default action.

    Python's handlers run in the main thread, which may be blocked in a collective. Python's C handler also writes a
    byte to the wake-up descriptor, which reaches the watchdog's thread immediately. If the program has its own handler
    for SIGTERM, that handler stays and this class does nothing.

    Args:
        descriptor: the non-blocking write end of a pipe that wakes the watchdog's thread.
    """

    def __init__(self, descriptor: int):
        self._descriptor = descriptor
        self._is_installed = False

    def install(self) -> None:
        """Installs the handler if SIGTERM has its default action and nothing else uses the wake-up descriptor."""
        if threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            return
        previous_descriptor = signal.set_wakeup_fd(self._descriptor, warn_on_full_buffer=False)
        if previous_descriptor != -1:
            signal.set_wakeup_fd(previous_descriptor)
            return
        signal.signal(signal.SIGTERM, self._handle)
        self._is_installed = True

    def uninstall(self) -> None:
        """Restores the default action. Must be called from the main thread; does nothing in another thread."""
        if not self._is_installed or threading.current_thread() is not threading.main_thread():
            return
        self._is_installed = False
        signal.set_wakeup_fd(-1)
        if self.is_in_force:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    @property
    def is_in_force(self) -> bool:
        """Whether this object handles SIGTERM, and no handler that the program has installed since."""
        return signal.getsignal(signal.SIGTERM) == self._handle

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Runs in the main thread. Normally the watchdog's thread ends the process before this returns."""
        time.sleep(_GRACE_SECONDS + 1.0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)


def termination_deadline(requested_at: float) -> float:
    """When a process that got SIGTERM at ``requested_at`` must end, on the same clock, in seconds."""
    return requested_at + _GRACE_SECONDS
