"""Who is to blame: the decision alone, with reports and clocks made up."""

import math

import pytest

from tfdl.distributed.watchdog.clock import AwakeClock
from tfdl.distributed.watchdog.decision import HANGING_KINDS, Failure, Report, Sighting, decide
from tfdl.distributed.watchdog.judge import Judge, judges_among
from tfdl.distributed.watchdog.members import Member
from tfdl.distributed.watchdog.words import sentence

TIMEOUT = 60.0
WAITS, WORKS = {"begun": 8, "done": 7}, {"begun": 7, "done": 7}


def ranks(*reports: dict, since: float = 0.0, heard: float = 100.0) -> dict[int, Sighting]:
    """One sighting for each report, heard just now and unchanged since then."""
    return {rank: Sighting(heard, since, Report(**report)) for rank, report in enumerate(reports)}


def verdict(seen: dict[int, Sighting], now: float = 100.0, timeout: float = TIMEOUT):
    found = decide(seen, now, timeout)
    return found and (found.kind, found.ranks)


def test_the_rank_that_others_wait_for_is_late():
    seen = ranks(WAITS, WORKS, WAITS)
    assert verdict(seen) == ("late", (1,))
    assert decide(seen, 100.0, TIMEOUT).waiting == (0, 2)
    assert verdict(seen, now=TIMEOUT) is None  # not yet
    assert verdict(seen, timeout=math.inf) is None


def test_all_that_have_not_come_are_late_together():
    assert verdict(ranks(WORKS, WAITS, WORKS)) == ("late", (0, 2))


def test_where_nobody_waits_a_step_may_take_any_time():
    assert verdict(ranks(WORKS, WORKS)) is None


def test_progress_of_its_own_keeps_a_rank_from_blame():
    """A validation on one rank, batch after batch."""
    seen = ranks(WAITS, WORKS)
    seen[1].hear(Report(**WORKS, ticks=5), 90.0)
    assert verdict(seen) is None
    seen[1].hear(Report(**WORKS, ticks=5), 150.0)  # the same again: heard, and no progress
    seen[0].hear(Report(**WAITS), 150.0)
    assert verdict(seen, now=151.0) == ("late", (1,))


def test_declared_work_has_its_own_limit():
    seen = ranks(WAITS, {**WORKS, "doing": "saving", "allowed": 600.0}, heard=599.0)
    assert verdict(seen, now=599.0) is None
    seen = ranks(WAITS, {**WORKS, "doing": "saving", "allowed": 600.0}, heard=601.0)
    assert verdict(seen, now=601.0) == ("late", (1,))


def test_a_long_worker_does_not_shield_the_rank_that_hangs():
    assert verdict(ranks(WAITS, {**WORKS, "doing": "saving", "allowed": 600.0}, WORKS)) == ("late", (2,))


def test_all_in_a_collective_and_nothing_moves():
    """Calls that do not match, or a network that swallows them: nobody in particular."""
    assert verdict(ranks(WAITS, WAITS)) == ("stuck", ())
    assert verdict(ranks(WAITS, {"begun": 8, "done": 8})) == ("stuck", ())
    seen = ranks(WAITS, WAITS)
    seen[1].since = 90.0
    assert verdict(seen) is None


def test_silence_counts_whatever_the_rank_was_doing():
    seen = ranks(WAITS, {**WORKS, "doing": "preparing", "allowed": math.inf})
    seen[1].heard = 39.0
    assert verdict(seen) == ("silent", (1,))
    seen[1].left = True
    seen[0].since = 90.0
    assert verdict(seen) is None


def test_a_death_needs_no_timeout_but_a_moment():
    seen = ranks(WAITS, WORKS)
    seen[0].since, seen[1].closed = 99.0, 99.9
    assert verdict(seen) is None
    assert verdict(seen, now=100.5, timeout=math.inf) == ("died", (1,))


def test_a_told_error_goes_before_everything_it_causes():
    seen = ranks(WAITS, WORKS, WAITS)
    seen[2].failure = Failure(99.0, 1, "error: ValueError: no picture")
    seen[2].closed = 99.1
    seen[0].broken = Failure(99.2, 1, "error: a collective failed")
    found = decide(seen, 100.0, TIMEOUT)
    assert (found.kind, found.ranks, found.line) == ("failed", (2,), "error: ValueError: no picture")


def test_the_same_error_everywhere_is_nobody_s():
    seen = ranks(WORKS, WORKS)
    for rank, time in ((1, 99.9), (0, 99.95)):
        seen[rank].failure = Failure(time, 1, "error: the loss is nan")
    assert verdict(seen) == ("failed", ())
    seen[0].failure = None
    assert verdict(seen) is None  # the other may still come
    assert verdict(seen, now=100.3) == ("failed", (1,))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"left": True}, ("left", (1,))),
        ({"heard": 90.0}, ("silent", (1,))),  # long before the timeout: a broken collective is evidence
        ({"closed": 99.9}, None),
        ({"left": True, "was_asked": True}, None),
        ({}, None),
    ],
)
def test_a_broken_collective_is_another_s_doing(change: dict, expected):
    seen = ranks(WORKS, WORKS)
    seen[0].broken = Failure(99.0, 1, "error: a collective failed")
    for name, value in change.items():
        setattr(seen[1], name, value)
    assert verdict(seen) == expected


def test_a_broken_collective_without_a_cause_is_told_in_the_end():
    seen = ranks(WORKS, WORKS, heard=103.5)
    seen[0].broken = Failure(99.0, 1, "error: a collective failed")
    assert verdict(seen, now=103.5) == ("broken", (0,))


def test_time_in_which_this_process_stood_still_counts_for_nobody():
    times = iter([0.0, 1.0, 2.0, 500.0, 501.0])
    clock = AwakeClock(longest=3.0, source=lambda: next(times))
    assert [clock.advance() for _ in range(4)] == [1.0, 2.0, 5.0, 6.0]


def test_the_sentence_names_ranks_host_and_step():
    seen = ranks(WAITS, {**WORKS, "step": 40}, WAITS)
    text = sentence(decide(seen, 100.0, TIMEOUT), ["a", "b", "c"], seen)
    assert text.startswith(
        "rank 1: error: hangs (on b, last step 40): ranks 0 and 2 waited for it in a collective for 100 s"
    )


def members(*hosts: str) -> list[Member]:
    return [Member(rank, host, "127.0.0.1", 1, 1, "") for rank, host in enumerate(hosts)]


def test_the_deputy_sits_on_another_host_where_there_is_one():
    assert judges_among(members("a", "a", "b", "b")) == [0, 2]
    assert judges_among(members("a", "a")) == [0, 1]


def test_the_deputy_speaks_only_when_the_chief_had_its_time():
    judge = Judge(members("a", "a", "a"), turn=1, now=0.0)
    for time in (0.0, 61.0, 62.9):
        for rank in (0, 1):
            judge.handle(rank, {"report": [8, 7, 0, 6, "", 0.0]}, time)
        judge.handle(2, {"report": [7, 7, 0, 6, "", 0.0]}, time)
        assert judge.consider(time, TIMEOUT, 1.0) is None
    assert judge.consider(63.1, TIMEOUT, 1.0).ranks == (2,)


def test_the_deputy_does_not_wait_for_a_chief_that_is_gone():
    judge = Judge(members("a", "a", "a"), turn=1, now=0.0)
    judge.lost(0, 10.0)
    assert judge.consider(10.5, TIMEOUT, 1.0).ranks == (0,)


def test_where_the_others_go_on_only_hangs_are_acted_on():
    judge = Judge(members("a", "a", "a"), turn=0, now=0.0, kinds=HANGING_KINDS)
    judge.lost(2, 1.0)
    for time in (2.0, 50.0, 63.0):
        judge.handle(0, {"report": [8, 7, 0, 6, "", 0.0]}, time)
        judge.handle(1, {"report": [7, 7, 0, 6, "", 0.0]}, time)
    assert judge.consider(50.0, TIMEOUT, 1.0) is None  # rank 2 is gone, and that is for others to deal with
    judge.seen[2].left = True
    judge.seen[2].closed = None
    assert judge.consider(63.0, TIMEOUT, 1.0).ranks == (1,)
    judge.dismiss()
    assert judge.consider(64.0, TIMEOUT, 1.0) is None
