"""The rank that watches the others: takes in what they send, decides, and says what it knows."""

from collections.abc import Collection, Sequence

from tfdl.distributed.watchdog.decision import ALL_KINDS, Failure, Kind, Report, Sighting, Verdict, decide
from tfdl.distributed.watchdog.members import Member
from tfdl.distributed.watchdog.wire import Connection
from tfdl.distributed.watchdog.words import sentence

# A deputy leaves the chief, while it gives signs of life, this long to speak first.
TURN_SECONDS = 2.0
# How long to wait for a culprit's own account of where it is.
STACKS_SECONDS = 1.0
_WITH_STACKS = ("late", "stuck")
# Stacks that a message about all ranks shows; the rest is alike.
_MOST_STACKS = 4


def judges_among(members: Sequence[Member]) -> list[int]:
    """The chief, and a deputy for when the chief itself is the culprit: of another host, where there is one."""
    elsewhere = [member.rank for member in members[1:] if member.host != members[0].host]
    return [0, *(elsewhere or [1])[:1]]


class Judge:
    """One judge's view of all ranks.

    Args:
        members: all ranks.
        turn: 0 for the chief; the deputy, 1, speaks only when the chief has had its time and the job goes on still.
        now: the time on the watchdog's clock.
        kinds: verdicts that this job acts on; others are not given.
    """

    def __init__(self, members: Sequence[Member], turn: int, now: float, kinds: Collection[Kind] = ALL_KINDS):
        self._members, self._turn, self._kinds = members, turn, kinds
        self.seen = {member.rank: Sighting(heard=now, since=now) for member in members}
        self.connections: dict[int, Connection] = {}
        self.verdict: Verdict | None = None
        self._found = self._asked = 0.0
        self._stacks: dict[int, str] = {}

    def handle(self, rank: int, message: dict[str, object], now: float) -> None:
        """Takes in one message; what it does not know it passes over."""
        sighting = self.seen[rank]
        sighting.heard = now
        report, stacks = message.get("report"), message.get("stacks")
        if isinstance(report, list):
            sighting.hear(Report(*report), now)
        if isinstance(stacks, str):
            self._stacks[rank] = stacks
        for name in ("failed", "broken"):
            told = message.get(name)
            if isinstance(told, list) and getattr(sighting, "failure" if name == "failed" else name) is None:
                setattr(sighting, "failure" if name == "failed" else name, Failure(now, int(told[0]), str(told[1])))
        if message.get("bye"):
            sighting.left, sighting.was_asked = True, message["bye"] == "asked"

    def lost(self, rank: int, now: float) -> None:
        """A rank's connection has ended."""
        self.connections.pop(rank, None)
        sighting = self.seen[rank]
        if sighting.closed is None and not sighting.left:
            sighting.closed = now

    @property
    def is_in_doubt(self) -> bool:
        """Whether something has happened that may soon become a verdict."""
        return bool(self._found) or any(s.closed or s.failure or s.broken for s in self.seen.values())

    def consider(self, now: float, timeout: float, beat: float) -> Verdict | None:
        """The verdict, once it is certain, it is this judge's turn, and the culprits' stacks are here."""
        if self.verdict is None:
            found = decide(self.seen, now, timeout, beat)
            if found is None or found.kind not in self._kinds:
                self._found = 0.0
                return None
            self._found = self._found or now
            if self._turn and self._chief_may_speak(now, beat) and now - self._found < TURN_SECONDS:
                return None
            self.verdict, self._asked = found, now
            for rank in self._witnesses():
                if rank in self.connections:
                    self.connections[rank].send(stacks=True)
        missing = [rank for rank in self._witnesses() if rank not in self._stacks and rank in self.connections]
        return None if missing and now - self._asked < STACKS_SECONDS else self.verdict

    def _chief_may_speak(self, now: float, beat: float) -> bool:
        chief = self.seen[0]
        return chief.is_present and now - chief.heard < 3 * beat

    def keep_stacks(self, rank: int, stacks: str) -> None:
        """The judge's own."""
        self._stacks[rank] = stacks

    def _witnesses(self) -> list[int]:
        if self.verdict is None or self.verdict.kind not in _WITH_STACKS:
            return []
        return list(self.verdict.ranks or self.verdict.waiting)[:_MOST_STACKS]

    def dismiss(self) -> None:
        """The verdict is carried out: its ranks are watched no longer, and the others go on."""
        assert self.verdict is not None
        for rank in self.verdict.ranks:
            self.seen[rank].left = True
        self.verdict, self._found = None, 0.0

    def line(self) -> str:
        """The verdict's one line."""
        assert self.verdict is not None
        return sentence(self.verdict, [member.host for member in self._members], self.seen)

    def account(self) -> str:
        """The line, and where the culprits' Python is."""
        found = [f"rank {rank}, {self._stacks[rank]}\n" for rank in self._witnesses() if rank in self._stacks]
        return "".join([f"tfdl: {self.line()}\n", *found])
