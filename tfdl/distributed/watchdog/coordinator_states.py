"""What a rank knows about its coordinators."""

from collections.abc import Sequence

from tfdl.distributed.watchdog.coordinator import DEPUTY_DELAY_SECONDS
from tfdl.distributed.watchdog.decision import Kind, Verdict
from tfdl.distributed.watchdog.rank_state import RankState


class CoordinatorStates:
    """Finds out when a rank has lost all coordinators: either the rank is cut off, or they are.

    Args:
        ranks: the coordinators, without this rank.
    """

    def __init__(self, ranks: Sequence[int]):
        self.states = {rank: RankState(last_heard=0.0, unchanged_since=0.0) for rank in ranks}

    def hear(self, rank: int, now: float) -> None:
        """Records a message from a coordinator."""
        self.states[rank].last_heard = now

    def disconnect(self, rank: int, now: float) -> None:
        """Records that a coordinator's connection has ended."""
        state = self.states[rank]
        state.last_heard = now
        state.disconnected_at = None if state.has_left else now

    def leave(self, rank: int) -> None:
        """Records a coordinator's goodbye."""
        self.states[rank].has_left = True

    def verdict(self, now: float, timeout: float) -> Verdict | None:
        """Returns a verdict on the coordinators if all of them are lost.

        Args:
            now: the time in seconds on the watchdog's clock.
            timeout: seconds without a heartbeat after which a coordinator is lost.
        """
        watched = {rank: state for rank, state in self.states.items() if not state.has_left}
        if not watched or not all(_is_lost(state, now, timeout) for state in watched.values()):
            return None
        kind: Kind = "silent"
        if all(state.disconnected_at is not None for state in watched.values()):
            kind = "died"
        last_heard = min(state.last_heard for state in watched.values())
        return Verdict(kind, tuple(watched), seconds=now - last_heard)


def _is_lost(state: RankState, now: float, timeout: float) -> bool:
    """Whether the coordinator is gone for longer than both coordinators may need to end the job."""
    gone_since = state.last_heard + timeout
    if state.disconnected_at is not None:
        gone_since = state.disconnected_at
    return now - gone_since > 2 * DEPUTY_DELAY_SECONDS
