"""Time as the watchdog counts it."""

import time
from collections.abc import Callable


class AwakeClock:
    """Seconds during which this process ran.

    A process that was stopped, or whose machine slept, finds that the others have been silent for as long as it was
    away itself. Such time counts for nobody: a jump between two looks at the clock is cut to ``longest``.

    Args:
        longest: seconds between two looks at which the process is still taken to have run.
        source: the clock below.
    """

    def __init__(self, longest: float, source: Callable[[], float] = time.monotonic):
        self._longest, self._source = longest, source
        self._before, self.now = source(), 0.0

    def advance(self) -> float:
        """Looks at the clock, and says how late it is."""
        before, self._before = self._before, self._source()
        self.now += min(self._before - before, self._longest)
        return self.now
