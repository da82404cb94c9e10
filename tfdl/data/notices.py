"""Lines about work that takes long, for whoever listens: the standard library's logger ``tfdl``."""

import logging
import time

LOGGER = logging.getLogger("tfdl")
"""Commands print its lines; in Python code, ``logging.basicConfig(level="INFO")`` does."""
# Seconds from one line about the same work to the next.
_EVERY = 10.0


class WorkNotice:
    """Says from time to time how much of a long work is done.

    Args:
        verb: what is done, such as ``checking images``.
        total: how much there is to do, in any unit.
    """

    def __init__(self, verb: str, total: int):
        self._verb = verb
        self._total = max(total, 1)
        self._done = 0
        self._next = time.monotonic() + _EVERY

    def add(self, amount: int) -> None:
        """Notes that a part of the work is done.

        Args:
            amount: of the part, in the unit of the total.
        """
        self._done += amount
        if time.monotonic() >= self._next:
            self._next += _EVERY
            LOGGER.info("%s: %d%%", self._verb, min(100 * self._done // self._total, 100))
