"""The watchdog's thread, in this process, with the end of the process made up."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tfdl.distributed.watchdog import watcher as module
from tfdl.distributed.watchdog.dead_man import DeadMan
from tfdl.distributed.watchdog.links import Links
from tfdl.distributed.watchdog.meeting import Meeting
from tfdl.distributed.watchdog.members import Member
from tfdl.distributed.watchdog.watcher import Watcher
from tfdl.distributed.watchdog.wire import listen

# In place of the end of the process, the thread ends with SystemExit.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


@dataclass
class Counts:
    """A main thread that has come to so many collectives, and back from so many."""

    begun_and_done: tuple[int, int]
    is_compiling: bool = False

    def read(self) -> tuple[int, int]:
        return self.begun_and_done


class Stage:
    """Listening places for three ranks of one host, judges 0 and 1, and what watchers do at their end."""

    def __init__(self) -> None:
        self.listeners = [listen("127.0.0.1", 4) for _ in range(3)]
        ports = [listener.getsockname()[1] for listener in self.listeners]
        self.members = [Member(rank, "h", "127.0.0.1", port, 1, "") for rank, port in enumerate(ports)]
        self.said: list[str] = []
        self.codes: list[int] = []
        self.killed: list[int] = []
        self.threads: list[Watcher] = []

    def watch(self, rank: int, counts: tuple[int, int], timeout: float = 1.0, spares_others: bool = False) -> Watcher:
        links = Links(self.listeners[rank] if rank < 2 else None, "token")
        links.connect([self.members[judge] for judge in (0, 1) if judge != rank], rank)
        watcher = Watcher(rank, Meeting(self.members, [0, 1], links), timeout, spares_others)
        watcher._counts = Counts(counts)
        watcher._counted_before = (0, 0)
        watcher.start()
        self.threads.append(watcher)
        return watcher

    def leave(self, code: int) -> None:
        self.codes.append(code)
        raise SystemExit  # of this thread, without a word


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    stage = Stage()
    monkeypatch.setattr(module, "say", stage.said.append)
    monkeypatch.setattr(module, "leave", stage.leave)
    monkeypatch.setattr(module, "kill_if_here", lambda member: stage.killed.append(member.rank))
    monkeypatch.setattr(DeadMan, "wind", lambda *_: None)
    yield stage
    for thread in stage.threads:
        thread.finish()
        thread.join(20)
    for listener in stage.listeners:
        listener.close()


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "the condition did not come about"
        time.sleep(0.01)


def test_a_rank_that_no_judge_answers_ends_by_itself(stage: Stage) -> None:
    """What a rank does that is cut off: the judges' sockets are there, and nothing comes."""
    stage.watch(2, (1, 0))
    until(lambda: stage.codes)
    assert stage.codes == [1]
    assert stage.said[0].startswith("tfdl: ranks 0 and 1: error: no sign of life for ")


def test_three_ranks_at_work_are_left_alone(stage: Stage) -> None:
    """The control: the same silence of the main threads, and nobody waits for anybody."""
    for rank in range(3):
        stage.watch(rank, (1, 1))
    threading.Event().wait(5.0)
    assert (stage.codes, stage.said) == ([], [])


def test_a_verdict_ends_all_ranks_and_one_of_them_speaks(stage: Stage) -> None:
    notes: list[tuple[int, str]] = []
    for rank, counts in enumerate([(8, 7), (8, 7), (7, 7)]):
        stage.watch(rank, counts).note = lambda code, reason: notes.append((code, reason))
    until(lambda: len(stage.codes) == 3)
    assert stage.codes == [1, 1, 1]
    assert len(stage.said) == len(notes) == 1
    assert stage.said[0].startswith("tfdl: rank 2: error: hangs (on h, last step ")
    assert "rank 2, thread MainThread:" in stage.said[0]
    assert notes[0] == (1, stage.said[0].splitlines()[0].removeprefix("tfdl: "))


def test_an_elastic_job_ends_the_culprit_only(stage: Stage) -> None:
    threads = [stage.watch(rank, counts, spares_others=True) for rank, counts in enumerate([(8, 7), (8, 7), (7, 7)])]
    until(lambda: stage.codes)
    threads[2].join(20)
    assert [thread.is_alive() for thread in threads] == [True, True, False]
    assert stage.said[0].startswith("tfdl: rank 2: error: hangs (on h, last step ")


def test_an_error_is_told_once_and_its_rank_leaves_last(stage: Stage) -> None:
    _, _, failing = (stage.watch(rank, (1, 1), timeout=60.0) for rank in range(3))
    failing.deliver(failed=[2, "error: no such picture"])
    assert failing.told.wait(20)
    assert stage.said == ["tfdl: rank 2: error: no such picture\n"]
    until(lambda: len(stage.codes) == 3)
    assert stage.codes == [2, 2, 2]
