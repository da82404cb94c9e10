"""What a coordinator of the watchdog knows about one rank."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Report:
    """What a rank sends with every heartbeat: these fields as a list, in this order."""

    begun: int = 0
    """Collectives that the rank has entered."""
    done: int = 0
    """Collectives that the rank has returned from."""
    ticks: int = 0
    """Signs of progress outside of collectives, such as steps or batches of a validation."""
    step: int = 0
    """The last optimizer step that the rank has finished."""
    long_work: str = ""
    """The long work that the rank has declared; empty if there is none."""
    long_work_limit: float = 0.0
    """Seconds that the declared work may take."""
    is_rejoining: bool = False
    """Whether the rank of an elastic job has left these ranks, and waits to join the new ones."""

    @property
    def is_waiting(self) -> bool:
        """Whether the rank may be waiting for other ranks: in a collective, or to join the new ranks."""
        return self.is_rejoining or self.begun > self.done

    @property
    def position(self) -> tuple[bool, int]:
        """How far the rank has come: a rank that waits for the new ranks is further than any that does not."""
        return self.is_rejoining, self.begun


@dataclass(frozen=True)
class Failure:
    """An error that ends a rank."""

    time: float
    """When the coordinator received it, in seconds on the coordinator's clock."""
    code: int
    """The exit code that all ranks should end with."""
    line: str
    """The error message, in one line."""


@dataclass
class RankState:
    """All that a coordinator knows of a rank. Times are in seconds on the coordinator's clock."""

    last_heard: float
    """When the rank last sent any message."""
    unchanged_since: float
    """When the rank's report last changed."""
    report: Report = field(default_factory=Report)
    disconnected_at: float | None = None
    """When the connection ended without a goodbye."""
    has_left: bool = False
    """Whether the rank said goodbye."""
    was_terminated: bool = False
    """Whether it left because the launcher sent it SIGTERM."""
    failure: Failure | None = None
    """The rank's own error."""
    broken_collective: Failure | None = None
    """The error of a collective that failed on this rank. Another rank caused it."""

    def update(self, report: Report, now: float) -> None:
        """Records a heartbeat that was received at ``now``."""
        self.last_heard = now
        if report != self.report:
            self.report = report
            self.unchanged_since = now

    @property
    def is_present(self) -> bool:
        """Whether the rank is still connected."""
        return not self.has_left and self.disconnected_at is None
