"""A watchdog over the ranks: finds one that failed, died, hangs or is cut off, prints an error, and ends the job."""

from typing import TYPE_CHECKING

from tfdl.lazy import lazy_names

_PUBLIC = {
    "DEFAULT_TIMEOUT": "tfdl.distributed.watchdog.current",
    "Watchdog": "tfdl.distributed.watchdog.watchdog",
    "current_watchdog": "tfdl.distributed.watchdog.current",
    "long_work": "tfdl.distributed.watchdog.current",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tfdl.distributed.watchdog.current import DEFAULT_TIMEOUT as DEFAULT_TIMEOUT
    from tfdl.distributed.watchdog.current import current_watchdog as current_watchdog
    from tfdl.distributed.watchdog.current import long_work as long_work
    from tfdl.distributed.watchdog.watchdog import Watchdog as Watchdog


__getattr__ = lazy_names(__name__, _PUBLIC)
