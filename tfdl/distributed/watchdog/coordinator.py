"""A rank that watches the others: it collects their messages and decides which rank is to blame."""

from collections.abc import Collection, Mapping, Sequence

from tfdl.distributed.watchdog.decision import ALL_KINDS, Kind, Verdict, decide
from tfdl.distributed.watchdog.members import Member
from tfdl.distributed.watchdog.messages import format_verdict
from tfdl.distributed.watchdog.rank_state import Failure, RankState, Report
from tfdl.distributed.watchdog.wire import Connection

# How long the deputy lets rank 0 act first, in seconds, while rank 0 sends heartbeats.
DEPUTY_DELAY_SECONDS = 2.0
# How long a coordinator waits for the stacks of the culprits.
STACKS_SECONDS = 1.0
_KINDS_WITH_STACKS = ("late", "stuck")
# The stacks of a job that is stuck are alike, so a message shows only the first ones.
_MAX_STACKS = 4


def choose_coordinators(members: Sequence[Member]) -> list[int]:
    """Rank 0, and a deputy for the case that rank 0 is the culprit. The deputy is on another host if there is one."""
    chief = members[0]
    on_other_hosts = [member.rank for member in members[1:] if member.host != chief.host]
    deputy = on_other_hosts[0] if on_other_hosts else 1
    return [0, deputy]


class Coordinator:
    """One coordinator's view of all ranks.

    Args:
        members: all ranks.
        turn: 0 for rank 0, 1 for the deputy, which acts only if the job is still running after rank 0 has had time to.
        now: the time in seconds on the watchdog's clock.
        kinds: the kinds of verdicts that this job acts on.
    """

    def __init__(self, members: Sequence[Member], turn: int, now: float, kinds: Collection[Kind] = ALL_KINDS):
        self._members = members
        self._turn = turn
        self._kinds = kinds
        self.states = {member.rank: RankState(last_heard=now, unchanged_since=now) for member in members}
        self.connections: dict[int, Connection] = {}
        self.verdict: Verdict | None = None
        self._decided_at: float | None = None
        self._stacks_requested_at = 0.0
        self._stacks: dict[int, str] = {}

    def handle(self, rank: int, message: Mapping[str, object], now: float) -> None:
        """Records a message from a rank. Unknown keys are ignored.

        Args:
            rank: the sender.
            message: any of ``report``, ``stacks``, ``failed``, ``broken`` and ``bye``.
            now: the time in seconds on the watchdog's clock.
        """
        state = self.states[rank]
        state.last_heard = now
        report = message.get("report")
        if isinstance(report, list):
            state.update(Report(*report), now)
        stacks = message.get("stacks")
        if isinstance(stacks, str):
            self._stacks[rank] = stacks
        if state.failure is None:
            state.failure = _read_failure(message.get("failed"), now)
        if state.broken_collective is None:
            state.broken_collective = _read_failure(message.get("broken"), now)
        goodbye = message.get("bye")
        if goodbye:
            state.has_left = True
            state.was_terminated = goodbye == "asked"

    def disconnect(self, rank: int, now: float) -> None:
        """Records that a rank's connection has ended."""
        self.connections.pop(rank, None)
        state = self.states[rank]
        if state.disconnected_at is None and not state.has_left:
            state.disconnected_at = now

    @property
    def is_in_doubt(self) -> bool:
        """Whether something has happened that may soon lead to a verdict."""
        if self._decided_at is not None:
            return True
        return any(
            state.disconnected_at is not None or state.failure is not None or state.broken_collective is not None
            for state in self.states.values()
        )

    def consider(self, now: float, timeout: float, heartbeat_seconds: float) -> Verdict | None:
        """Returns the verdict once this coordinator should act on it.

        That is when the verdict is certain, it is this coordinator's turn, and the culprits' stacks have arrived.

        Args:
            now: the time in seconds on the watchdog's clock.
            timeout: the watchdog's timeout in seconds.
            heartbeat_seconds: seconds between two heartbeats.
        """
        if self.verdict is None:
            verdict = decide(self.states, now, timeout, heartbeat_seconds, self._kinds)
            if verdict is None:
                self._decided_at = None
                return None
            if self._decided_at is None:
                self._decided_at = now
            if self._leaves_it_to_chief(now, heartbeat_seconds):
                return None
            self.verdict = verdict
            self._request_stacks(now)
        if self._is_waiting_for_stacks(now):
            return None
        return self.verdict

    def _leaves_it_to_chief(self, now: float, heartbeat_seconds: float) -> bool:
        """Whether this is the deputy and rank 0 still has time to act."""
        if self._turn == 0:
            return False
        assert self._decided_at is not None
        chief = self.states[0]
        is_chief_alive = chief.is_present and now - chief.last_heard < 3 * heartbeat_seconds
        return is_chief_alive and now - self._decided_at < DEPUTY_DELAY_SECONDS

    def _request_stacks(self, now: float) -> None:
        self._stacks_requested_at = now
        for rank in self._ranks_with_stacks():
            if rank in self.connections:
                self.connections[rank].send(stacks=True)

    def _is_waiting_for_stacks(self, now: float) -> bool:
        is_missing = any(rank not in self._stacks and rank in self.connections for rank in self._ranks_with_stacks())
        return is_missing and now - self._stacks_requested_at < STACKS_SECONDS

    def _ranks_with_stacks(self) -> list[int]:
        """The ranks whose stacks the message shows."""
        if self.verdict is None or self.verdict.kind not in _KINDS_WITH_STACKS:
            return []
        ranks = self.verdict.ranks or self.verdict.waiting
        return list(ranks[:_MAX_STACKS])

    def keep_stacks(self, rank: int, stacks: str) -> None:
        """Records the stacks of the coordinator's own rank, which sends itself no messages."""
        self._stacks[rank] = stacks

    def dismiss(self) -> None:
        """Stops watching the verdict's ranks, which have been ended, so that the others can continue."""
        assert self.verdict is not None
        for rank in self.verdict.ranks:
            self.states[rank].has_left = True
        self.verdict = None
        self._decided_at = None

    def line(self) -> str:
        """The verdict as one line."""
        assert self.verdict is not None
        hosts = [member.host for member in self._members]
        return format_verdict(self.verdict, hosts, self.states)

    def message(self) -> str:
        """The verdict's line, followed by the Python stacks of the culprits."""
        stacks = [f"rank {rank}, {self._stacks[rank]}\n" for rank in self._ranks_with_stacks() if rank in self._stacks]
        return f"tfdl: {self.line()}\n" + "".join(stacks)


def _read_failure(value: object, now: float) -> Failure | None:
    """An error as it was sent: exit code and line."""
    if not isinstance(value, list):
        return None
    return Failure(now, code=int(value[0]), line=str(value[1]))
