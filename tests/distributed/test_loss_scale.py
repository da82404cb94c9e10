"""In float16 a step that overflows on one rank alone is skipped by all, inside the graph, under the real Horovod."""

import json

import pytest

from tests.distributed.launching import launch, program

pytestmark = [pytest.mark.distributed, pytest.mark.slow]


def outcome(who: str) -> list[list[object]]:
    """Digest of the weights, scale, steps skipped and steps made, of each rank."""
    job = launch(2, *program("one_overflow"), who)
    assert job.code == 0, job.output
    return json.loads(job.lines_of(0)[-1])


def test_all_ranks_skip_the_steps_that_overflow_on_one() -> None:
    first, second = outcome("all")
    assert first == second
    assert first[1:] == [256, 2, 6]


def test_ranks_that_judge_alone_come_apart() -> None:
    """The control: the harness sees it."""
    first, second = outcome("each")
    assert first[0] != second[0]
    assert (first[1:], second[1:]) == ([1024, 0, 8], [256, 2, 6])
