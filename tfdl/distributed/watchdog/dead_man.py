"""What still works when the watchdog's own thread cannot run: timers below Python."""

import ctypes
import faulthandler
import math
import signal
import time

# After the others have given this rank up, and had time to say so.
KILL_MARGIN = 10.0
DUMP_MARGIN = 0.5


class _SignalEvent(ctypes.Structure):
    """Linux's ``struct sigevent``; notify 0 is SIGEV_SIGNAL."""

    _fields_ = [
        ("value", ctypes.c_void_p),
        ("signo", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("rest", ctypes.c_char * 48),
    ]


class _TimerSpec(ctypes.Structure):
    """``struct itimerspec``: interval, then value, each seconds and nanoseconds."""

    _fields_ = [(name, ctypes.c_long) for name in ("every_s", "every_ns", "in_s", "in_ns")]


class DeadMan:
    """Two timers that only run out when nobody winds them for longer than ``timeout``.

    A thread of C that holds the interpreter's lock also holds the watchdog's thread: then ``faulthandler``, which needs
    no lock, writes every thread's stack to standard error. A stopped process (SIGSTOP) runs nothing at all, and on a
    host without another rank nobody could end it: then the kernel's timer sends SIGKILL, which it obeys.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._timer = ctypes.c_void_p()
        event = _SignalEvent(None, signal.SIGKILL, 0)
        try:
            made = self._libc.timer_create(time.CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(self._timer))
        except AttributeError:  # a C library without timers
            made = -1
        self._has_timer = made == 0

    def wind(self, timeout: float) -> None:
        """Gives both ``timeout`` seconds from now, and a margin; infinite disarms them."""
        if not math.isfinite(timeout):
            self.disarm()
            return
        self._set(timeout + KILL_MARGIN)
        faulthandler.dump_traceback_later(timeout + DUMP_MARGIN, file=2)

    def disarm(self) -> None:
        """Neither timer runs."""
        self._set(0.0)
        faulthandler.cancel_dump_traceback_later()

    def _set(self, seconds: float) -> None:
        if self._has_timer:
            whole = int(seconds)
            spec = _TimerSpec(0, 0, whole, int((seconds - whole) * 1e9))
            self._libc.timer_settime(self._timer, 0, ctypes.byref(spec), None)
