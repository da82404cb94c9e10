"""The decision which rank is to blame, with invented reports and clocks."""

import math

import pytest

from tfdl.distributed.watchdog.clock import AwakeClock
from tfdl.distributed.watchdog.coordinator import Coordinator, choose_coordinators
from tfdl.distributed.watchdog.decision import ELASTIC_KINDS, Verdict, decide
from tfdl.distributed.watchdog.members import Member
from tfdl.distributed.watchdog.messages import format_verdict
from tfdl.distributed.watchdog.rank_state import Failure, RankState, Report

TIMEOUT = 60.0
# Reports of a rank that waits in its eighth collective, and of one that has not entered it.
WAITS = {"begun": 8, "done": 7}
WORKS = {"begun": 7, "done": 7}


def ranks(*reports: dict, since: float = 0.0, heard: float = 100.0) -> dict[int, RankState]:
    """The states of ranks.

    Args:
        reports: The fields of each rank's report.
        since: The time since which the reports have not changed.
        heard: The time when the reports were last received.
    """
    return {rank: RankState(heard, since, Report(**report)) for rank, report in enumerate(reports)}


def kind_and_ranks(states: dict[int, RankState], now: float = 100.0, timeout: float = TIMEOUT):
    """The verdict's kind and the ranks that it names, or ``None`` if there is no verdict."""
    verdict = decide(states, now, timeout)
    if verdict is None:
        return None
    return verdict.kind, verdict.ranks


def test_the_rank_that_others_wait_for_is_late():
    states = ranks(WAITS, WORKS, WAITS)
    assert kind_and_ranks(states) == ("late", (1,))
    assert decide(states, 100.0, TIMEOUT).waiting == (0, 2)
    assert kind_and_ranks(states, now=TIMEOUT) is None  # not yet
    assert kind_and_ranks(states, timeout=math.inf) is None


def test_all_ranks_that_have_not_entered_the_collective_are_late():
    assert kind_and_ranks(ranks(WORKS, WAITS, WORKS)) == ("late", (0, 2))


def test_if_no_rank_waits_a_step_may_take_any_time():
    assert kind_and_ranks(ranks(WORKS, WORKS)) is None


def test_a_rank_that_makes_progress_is_not_late():
    """As in a validation on one rank, batch after batch."""
    states = ranks(WAITS, WORKS)
    states[1].update(Report(**WORKS, ticks=5), 90.0)
    assert kind_and_ranks(states) is None
    states[1].update(Report(**WORKS, ticks=5), 150.0)  # the same report: a heartbeat without progress
    states[0].update(Report(**WAITS), 150.0)
    assert kind_and_ranks(states, now=151.0) == ("late", (1,))


def test_declared_work_has_its_own_limit():
    states = ranks(WAITS, {**WORKS, "long_work": "saving", "long_work_limit": 600.0}, heard=599.0)
    assert kind_and_ranks(states, now=599.0) is None
    states = ranks(WAITS, {**WORKS, "long_work": "saving", "long_work_limit": 600.0}, heard=601.0)
    assert kind_and_ranks(states, now=601.0) == ("late", (1,))


def test_long_work_of_one_rank_does_not_hide_another_rank_that_hangs():
    states = ranks(WAITS, {**WORKS, "long_work": "saving", "long_work_limit": 600.0}, WORKS)
    assert kind_and_ranks(states) == ("late", (2,))


def test_all_ranks_in_a_collective_without_progress_are_stuck():
    """Collectives that do not match, or a network that drops them: no single rank is blamed."""
    assert kind_and_ranks(ranks(WAITS, WAITS)) == ("stuck", ())
    assert kind_and_ranks(ranks(WAITS, {"begun": 8, "done": 8})) == ("stuck", ())
    states = ranks(WAITS, WAITS)
    states[1].unchanged_since = 90.0
    assert kind_and_ranks(states) is None


def test_a_silent_rank_is_blamed_also_in_long_work():
    states = ranks(WAITS, {**WORKS, "long_work": "preparing", "long_work_limit": math.inf})
    states[1].last_heard = 39.0
    assert kind_and_ranks(states) == ("silent", (1,))
    states[1].has_left = True
    states[0].unchanged_since = 90.0
    assert kind_and_ranks(states) is None


def test_a_death_is_reported_after_a_short_delay_without_a_timeout():
    states = ranks(WAITS, WORKS)
    states[0].unchanged_since = 99.0
    states[1].disconnected_at = 99.9
    assert kind_and_ranks(states) is None
    assert kind_and_ranks(states, now=100.5, timeout=math.inf) == ("died", (1,))


def test_a_reported_error_comes_before_what_it_causes():
    states = ranks(WAITS, WORKS, WAITS)
    states[2].failure = Failure(99.0, 1, "error: ValueError: no image")
    states[2].disconnected_at = 99.1
    states[0].broken_collective = Failure(99.2, 1, "error: a collective failed")
    verdict = decide(states, 100.0, TIMEOUT)
    assert verdict.kind == "failed"
    assert verdict.ranks == (2,)
    assert verdict.line == "error: ValueError: no image"


def test_the_same_error_on_all_ranks_blames_no_single_rank():
    states = ranks(WORKS, WORKS)
    states[1].failure = Failure(99.9, 1, "error: the loss is nan")
    states[0].failure = Failure(99.95, 1, "error: the loss is nan")
    assert kind_and_ranks(states) == ("failed", ())
    states[0].failure = None
    assert kind_and_ranks(states) is None  # the other rank may still report it
    assert kind_and_ranks(states, now=100.3) == ("failed", (1,))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"has_left": True}, ("left", (1,))),
        # Long before the timeout, because the broken collective is evidence.
        ({"last_heard": 90.0}, ("silent", (1,))),
        ({"disconnected_at": 99.9}, None),
        ({"has_left": True, "was_terminated": True}, None),
        ({}, None),
    ],
)
def test_a_broken_collective_blames_another_rank(change: dict, expected):
    states = ranks(WORKS, WORKS)
    states[0].broken_collective = Failure(99.0, 1, "error: a collective failed")
    for name, value in change.items():
        setattr(states[1], name, value)
    assert kind_and_ranks(states) == expected


def test_a_broken_collective_without_a_known_cause_is_reported_after_a_while():
    states = ranks(WORKS, WORKS, heard=103.5)
    states[0].broken_collective = Failure(99.0, 1, "error: a collective failed")
    assert kind_and_ranks(states, now=103.5) == ("broken", (0,))


def test_time_in_which_this_process_was_suspended_does_not_count():
    times = iter([0.0, 1.0, 2.0, 500.0, 501.0])
    clock = AwakeClock(longest=3.0, source=lambda: next(times))
    assert [clock.advance() for _ in range(4)] == [1.0, 2.0, 5.0, 6.0]  # the suspended time counts as 3 seconds


def test_the_message_names_ranks_host_and_step():
    states = ranks(WAITS, {**WORKS, "step": 40}, WAITS)
    text = format_verdict(decide(states, 100.0, TIMEOUT), ["a", "b", "c"], states)
    assert text.startswith(
        "rank 1: error: hangs (on b, last step 40): ranks 0 and 2 waited for it in a collective for 100 s"
    )


@pytest.mark.parametrize(
    ("hosts", "gone", "cause"),
    [
        pytest.param(["a", "a", "b"], [2], "its host has failed, or it may have run out of memory", id="a whole host"),
        pytest.param(["a", "b", "b"], [1, 2], "its host has failed, or it may have run out of memory", id="all ranks"),
        pytest.param(["a", "b", "b"], [2], "it may have run out of memory", id="one of two ranks"),
        pytest.param(["a", "a", "a"], [2], "it may have run out of memory", id="one host"),
    ],
)
def test_a_rank_that_died_with_its_host_may_be_lost_with_it(hosts, gone, cause):
    states = ranks(WORKS, WORKS, WORKS)
    for rank in gone:
        states[rank].disconnected_at = 99.0
    verdict = Verdict("died", (gone[-1],))
    host = hosts[gone[-1]]
    message = f"was killed without an error message (on {host}, last step 0); {cause}"
    assert format_verdict(verdict, hosts, states) == f"rank {gone[-1]}: error: {message}"


def members(*hosts: str) -> list[Member]:
    return [Member(rank, host, "127.0.0.1", 1, 1, "") for rank, host in enumerate(hosts)]


def test_the_deputy_is_on_another_host_if_there_is_one():
    assert choose_coordinators(members("a", "a", "b", "b")) == [0, 2]
    assert choose_coordinators(members("a", "a")) == [0, 1]


def test_the_deputy_acts_only_after_rank_0_had_time_to_act():
    coordinator = Coordinator(members("a", "a", "a"), turn=1, now=0.0)
    for time in (0.0, 61.0, 62.9):
        for rank in (0, 1):
            coordinator.handle(rank, {"report": [8, 7, 0, 6, "", 0.0]}, time)
        coordinator.handle(2, {"report": [7, 7, 0, 6, "", 0.0]}, time)
        assert coordinator.consider(time, TIMEOUT, 1.0) is None
    assert coordinator.consider(63.1, TIMEOUT, 1.0).ranks == (2,)


def test_the_deputy_does_not_wait_for_a_dead_rank_0():
    coordinator = Coordinator(members("a", "a", "a"), turn=1, now=0.0)
    coordinator.disconnect(0, 10.0)
    assert coordinator.consider(10.5, TIMEOUT, 1.0).ranks == (0,)


def test_an_elastic_job_acts_only_on_hangs():
    coordinator = Coordinator(members("a", "a", "a"), turn=0, now=0.0, kinds=ELASTIC_KINDS)
    coordinator.disconnect(2, 1.0)
    for time in (2.0, 50.0, 63.0):
        coordinator.handle(0, {"report": [8, 7, 0, 6, "", 0.0]}, time)
        coordinator.handle(1, {"report": [7, 7, 0, 6, "", 0.0]}, time)
    assert coordinator.consider(50.0, TIMEOUT, 1.0) is None  # rank 2 is dead, which the caller handles
    coordinator.states[2].has_left = True
    coordinator.states[2].disconnected_at = None
    assert coordinator.consider(63.0, TIMEOUT, 1.0).ranks == (1,)
    coordinator.dismiss()
    assert coordinator.consider(64.0, TIMEOUT, 1.0) is None


REJOINS = {"begun": 8, "done": 7, "is_rejoining": True}


def verdict_of_elastic_job(states: dict[int, RankState], now: float = 100.0):
    verdict = decide(states, now, TIMEOUT, kinds=ELASTIC_KINDS)
    return None if verdict is None else (verdict.kind, verdict.ranks)


def test_a_rank_that_does_not_come_to_the_new_ranks_is_late():
    """Rank 2 has died. Rank 0 has left the old ranks, and rank 1 hangs before its next collective, or in its last."""
    for hangs in (WORKS, {"begun": 8, "done": 8}, {"begun": 9, "done": 9}):
        states = ranks(REJOINS, hangs, WORKS)
        states[2].disconnected_at = 10.0
        assert verdict_of_elastic_job(states) == ("late", (1,))
        assert verdict_of_elastic_job(states, now=TIMEOUT) is None  # not yet
    line = format_verdict(decide(states, 100.0, TIMEOUT, kinds=ELASTIC_KINDS), ["h"] * 3, states)
    assert "rank 0 waited for it to rejoin for 100 s" in line


def test_ranks_may_wait_for_new_ranks_for_as_long_as_the_launcher_allows():
    assert verdict_of_elastic_job(ranks(REJOINS, REJOINS)) is None
    assert verdict_of_elastic_job(ranks(WAITS, WAITS)) == ("stuck", ())  # the control
