"""What a rank sends with every heartbeat."""

from typing import Any

from tfdl.distributed.collective_counts import CollectiveCounts
from tfdl.distributed.watchdog.current import LONG_WORK_FACTOR, current_activity

# JSON has no infinity that other parsers read; about a year stands for it.
_FOREVER_SECONDS = 3e7


class ReportSource:
    """Reads this process's progress.

    Args:
        counts: the process's counters of collectives. They also count the collectives of an earlier World, so reports
            count from here.
    """

    def __init__(self, counts: CollectiveCounts):
        self._counts = counts
        self._begun_before, self._done_before = counts.read()

    def read(self, timeout: float) -> list[Any]:
        """Returns the fields of ``rank_state.Report``, in their order.

        Args:
            timeout: the watchdog's timeout in seconds. Declared work without its own limit may take a multiple of it.
        """
        begun, done = self._counts.read()
        activity = current_activity()
        long_work = activity.long_work
        if not long_work and self._counts.is_compiling:
            long_work = "compiling"
        long_work_limit = 0.0
        if long_work:
            long_work_limit = LONG_WORK_FACTOR * timeout if activity.limit is None else activity.limit
            long_work_limit = min(long_work_limit, _FOREVER_SECONDS)
        begun -= self._begun_before
        done -= self._done_before
        return [begun, done, activity.ticks, activity.step, long_work, long_work_limit, activity.is_rejoining]
