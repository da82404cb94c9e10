"""The watchdog's thread, run in this process. A fake replaces the function that ends the process."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tfdl.distributed.watchdog import enforcement
from tfdl.distributed.watchdog import watcher as watcher_module
from tfdl.distributed.watchdog.dead_man import DeadMansSwitch
from tfdl.distributed.watchdog.heartbeat import ReportSource
from tfdl.distributed.watchdog.links import Links
from tfdl.distributed.watchdog.members import Member
from tfdl.distributed.watchdog.peers import Peers
from tfdl.distributed.watchdog.watcher import Watcher
from tfdl.distributed.watchdog.wire import listen

# In place of the end of the process, the thread ends with SystemExit.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


@dataclass
class Counts:
    """The numbers of collectives that the main thread has begun and finished."""

    begun_and_done: tuple[int, int]
    is_compiling: bool = False

    def read(self) -> tuple[int, int]:
        return self.begun_and_done


# The numbers of collectives that each rank has begun and finished: ranks 0 and 1 wait for rank 2.
RANK_2_HANGS = [(8, 7), (8, 7), (7, 7)]


class Stage:
    """Listeners for three ranks of one host, of which 0 and 1 are coordinators; records what the watchers do."""

    def __init__(self) -> None:
        self.listeners = [listen("127.0.0.1", 4) for _ in range(3)]
        ports = [listener.getsockname()[1] for listener in self.listeners]
        self.members = [Member(rank, "h", "127.0.0.1", port, 1, "") for rank, port in enumerate(ports)]
        self.printed: list[str] = []
        self.codes: list[int] = []
        self.killed: list[int] = []
        self.threads: list[Watcher] = []

    def watch(self, rank: int, counts: tuple[int, int], timeout: float = 1.0, elastic: bool = False) -> Watcher:
        """Starts the thread of a rank.

        Args:
            rank: The rank.
            counts: The numbers of collectives that its main thread has begun and finished.
            timeout: The watchdog's timeout in seconds.
            elastic: Whether the job is elastic.
        """
        links = Links(self.listeners[rank] if rank < 2 else None, "token")
        links.connect([self.members[coordinator] for coordinator in (0, 1) if coordinator != rank], rank)
        watcher = Watcher(rank, Peers(self.members, [0, 1], links), timeout, elastic)
        fake_counts = Counts((0, 0))
        watcher._reports = ReportSource(fake_counts)
        fake_counts.begun_and_done = counts
        watcher.start()
        self.threads.append(watcher)
        return watcher

    def leave(self, code: int) -> None:
        self.codes.append(code)
        raise SystemExit  # ends this thread silently


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    stage = Stage()
    for module in (watcher_module, enforcement):
        monkeypatch.setattr(module, "write_stderr", stage.printed.append)
        monkeypatch.setattr(module, "exit_process", stage.leave)
    monkeypatch.setattr(enforcement, "kill_if_here", lambda member: stage.killed.append(member.rank))
    monkeypatch.setattr(DeadMansSwitch, "reset", lambda *_: None)
    yield stage
    for thread in stage.threads:
        thread.finish()
        thread.join(20)
    for listener in stage.listeners:
        listener.close()


def wait_until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "the condition did not become true"
        time.sleep(0.01)


def test_a_rank_that_hears_from_no_coordinator_ends_by_itself(stage: Stage) -> None:
    """As on a rank that is cut off. The coordinators' sockets exist, but nothing arrives."""
    stage.watch(2, (1, 0))
    wait_until(lambda: stage.codes)
    assert stage.codes == [1]
    assert stage.printed[0].startswith("tfdl: ranks 0 and 1: error: no heartbeat for ")


def test_ranks_that_work_are_not_ended(stage: Stage) -> None:
    """The control: the main threads are equally silent, but no rank waits for another."""
    for rank in range(3):
        stage.watch(rank, (1, 1))
    threading.Event().wait(5.0)
    assert stage.codes == []
    assert stage.printed == []


def test_a_verdict_ends_all_ranks_and_is_printed_once(stage: Stage) -> None:
    notes: list[tuple[int, str]] = []
    for rank, counts in enumerate(RANK_2_HANGS):
        watcher = stage.watch(rank, counts)
        watcher.enforcement.note = lambda code, reason: notes.append((code, reason))
    wait_until(lambda: len(stage.codes) == 3)
    assert stage.codes == [1, 1, 1]
    assert len(stage.printed) == len(notes) == 1
    assert stage.printed[0].startswith("tfdl: rank 2: error: hangs (on h, last step ")
    assert "rank 2, thread MainThread:" in stage.printed[0]
    first_line, *_ = stage.printed[0].splitlines()
    assert notes[0] == (1, first_line.removeprefix("tfdl: "))


def test_an_elastic_job_ends_only_the_rank_that_hangs(stage: Stage) -> None:
    threads = [stage.watch(rank, counts, elastic=True) for rank, counts in enumerate(RANK_2_HANGS)]
    wait_until(lambda: stage.codes)
    threads[2].join(20)
    assert [thread.is_alive() for thread in threads] == [True, True, False]
    assert stage.printed[0].startswith("tfdl: rank 2: error: hangs (on h, last step ")


def test_an_elastic_job_whose_ranks_all_wait_ends(stage: Stage) -> None:
    """Their programs differ. No rank is lost, so no collective would fail."""
    for rank in range(3):
        stage.watch(rank, (8, 7), elastic=True)
    wait_until(lambda: len(stage.codes) == 3)
    assert stage.printed[0].startswith("tfdl: error: ranks 0, 1 and 2 waited in a collective for ")


def test_an_error_is_printed_once_and_its_rank_ends_last(stage: Stage) -> None:
    watchers = [stage.watch(rank, (1, 1), timeout=60.0) for rank in range(3)]
    failing = watchers[2]
    failing.deliver(failed=[2, "error: no such image"])
    assert failing.enforcement.error_printed.wait(20)
    assert stage.printed == ["tfdl: rank 2: error: no such image\n"]
    wait_until(lambda: len(stage.codes) == 3)
    assert stage.codes == [2, 2, 2]
