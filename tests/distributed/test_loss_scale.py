"""In float16 a step that overflows on one rank alone is skipped by all, inside the graph, under the real Horovod."""

import json

import pytest

from tests.distributed.launching import launch, program

pytestmark = [pytest.mark.distributed, pytest.mark.slow]


@pytest.fixture(scope="module")
def states() -> dict[str, list[list[object]]]:
    """Each rank's digest of the weights, loss scale, number of skipped steps and number of other steps.

    The keys are ``all`` if all ranks decide together which steps are skipped, and ``each`` if each rank decides alone.
    """
    job = launch(2, *program("one_overflow"))
    assert job.code == 0, job.output
    return json.loads(job.lines_of(0)[-1])


def test_all_ranks_skip_the_steps_that_overflow_on_one(states: dict[str, list[list[object]]]) -> None:
    first, second = states["all"]
    assert first == second
    assert first[1:] == [256, 2, 6]


def test_ranks_that_decide_alone_diverge(states: dict[str, list[list[object]]]) -> None:
    """The control: the same program finds ranks that differ."""
    first, second = states["each"]
    assert first[0] != second[0]
    assert first[1:] == [1024, 0, 8]
    assert second[1:] == [256, 2, 6]
