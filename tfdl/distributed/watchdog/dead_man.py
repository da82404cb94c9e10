"""A dead man's switch: timers that still work when the watchdog's own thread cannot run."""

import ctypes
import faulthandler
import math
import signal
import time

# The other ranks must first notice the timeout and have time to print the error.
KILL_MARGIN = 10.0
DUMP_MARGIN = 0.5


class _SignalEvent(ctypes.Structure):
    """Linux's ``struct sigevent``; ``notify`` 0 is SIGEV_SIGNAL."""

    _fields_ = [
        ("value", ctypes.c_void_p),
        ("signo", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("padding", ctypes.c_char * 48),
    ]


class _TimerSpec(ctypes.Structure):
    """Linux's ``struct itimerspec``: interval and value, each in seconds and nanoseconds."""

    _fields_ = [
        ("interval_seconds", ctypes.c_long),
        ("interval_nanoseconds", ctypes.c_long),
        ("value_seconds", ctypes.c_long),
        ("value_nanoseconds", ctypes.c_long),
    ]


class DeadMansSwitch:
    """Two timers that expire only if nothing calls ``reset`` for longer than the timeout.

    - C code that holds the interpreter's lock also blocks the watchdog's thread. ``faulthandler`` needs no lock, so it
      still writes the stack of every thread to standard error.
    - A stopped process (SIGSTOP) runs no code at all, and on a host with no other rank nothing else could end it. The
      kernel's timer then sends SIGKILL, which also ends a stopped process.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._timer = ctypes.c_void_p()
        event = _SignalEvent(None, signal.SIGKILL, 0)
        try:
            result = self._libc.timer_create(time.CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(self._timer))
        except AttributeError:  # this C library has no timers
            result = -1
        self._has_timer = result == 0

    def reset(self, timeout: float) -> None:
        """Restarts both timers: each expires after ``timeout`` seconds and its margin; infinity disarms them."""
        if not math.isfinite(timeout):
            self.disarm()
            return
        self._set_kill_timer(timeout + KILL_MARGIN)
        faulthandler.dump_traceback_later(timeout + DUMP_MARGIN, file=2)

    def disarm(self) -> None:
        """Stops both timers."""
        self._set_kill_timer(0.0)  # zero disarms a timer of the kernel
        faulthandler.cancel_dump_traceback_later()

    def close(self) -> None:
        """Stops both timers for good. An elastic job has a new switch for each set of ranks."""
        self.disarm()
        if self._has_timer:
            self._has_timer = False
            self._libc.timer_delete(self._timer)

    def _set_kill_timer(self, seconds: float) -> None:
        if not self._has_timer:
            return
        whole_seconds = int(seconds)
        nanoseconds = int((seconds - whole_seconds) * 1e9)
        spec = _TimerSpec(0, 0, whole_seconds, nanoseconds)
        self._libc.timer_settime(self._timer, 0, ctypes.byref(spec), None)
