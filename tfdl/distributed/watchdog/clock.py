"""The watchdog's clock."""

import time
from collections.abc import Callable


class AwakeClock:
    """Counts the seconds during which this process was running.

    A process that was stopped, or whose machine slept, sees the other ranks silent for as long as it was suspended
    itself. That time must not count against them, so a jump between two readings is cut to ``longest``.

    Args:
        longest: the longest time in seconds between two readings that is counted in full.
        source: the clock to read, in seconds.
    """

    def __init__(self, longest: float, source: Callable[[], float] = time.monotonic):
        self._longest = longest
        self._source = source
        self._last_reading = source()
        self.now = 0.0

    def advance(self) -> float:
        """Reads the source and returns the time that has passed so far, in seconds."""
        reading = self._source()
        elapsed = reading - self._last_reading
        self._last_reading = reading
        self.now += min(elapsed, self._longest)
        return self.now
