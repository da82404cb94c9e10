"""The World of three ranks, under the real launcher."""

import json
from typing import Any

import pytest

from tests.distributed.launching import Finished, launch, program

pytestmark = [pytest.mark.distributed, pytest.mark.slow]
RANKS = 3


@pytest.fixture(scope="module")
def job() -> Finished:
    return launch(RANKS, *program("collectives"))


@pytest.fixture(scope="module")
def results(job: Finished) -> list[dict[str, Any]]:
    """The results of each rank."""
    return json.loads(next(line for line in job.lines_of(0) if line.startswith("[")))


def test_three_ranks_keep_the_contract(job: Finished) -> None:
    """Over Gloo, three ranks send tensors in other ways than two, which ``test_world_contract.py`` has."""
    assert job.code == 0, job.output
    assert all(job.lines_of(rank)[-1] == "contract kept" for rank in range(RANKS))


def test_ranks_are_numbered(results: list[dict[str, Any]]) -> None:
    assert [rank["rank"] for rank in results] == [0, 1, 2]
    assert [rank["local_rank"] for rank in results] == [0, 1, 2]
    assert all(rank["same_world"] for rank in results)


def test_collectives_return_the_same_on_every_rank(results: list[dict[str, Any]]) -> None:
    for rank in results:
        assert rank["all_reduce"] == 6.0
        assert len(rank["all_reduce_in"]) == 6
        for dtype, are_right in rank["all_reduce_in"].items():
            assert are_right == [True] * 5, dtype
        assert rank["all_gather"] == [0, 1, 1, 2, 2, 2]
        assert rank["broadcast"] == 4
        assert rank["broadcast_object"] == {"from": 1}


def test_collectives_of_every_kind_have_names_that_elastic_mode_knows(results: list[dict[str, Any]]) -> None:
    """Horovod recognizes a lost rank by HorovodAllreduce, -gather or -broadcast in the error message."""
    for rank in results:
        assert rank["traced_names"] == [f"HorovodAllreduce_{number}" for number in range(4)]


def test_state_of_every_dtype_becomes_the_chiefs(results: list[dict[str, Any]]) -> None:
    for rank in results:
        assert rank["broadcast_state"] == [[[1.5] * 3] * 2, 5.0, [0.0, 2.0**32 - 1], [0.5] * 3, [], [1.0, 0.0]]


@pytest.mark.parametrize("path", ["fused", "general"])
def test_synchronized_batch_normalization_is_that_of_the_whole_batch(results: list[dict[str, Any]], path: str) -> None:
    """Uneven shards of 5, 2 and 0 images, with a mean of 200 standard deviations."""
    for rank in results:
        for name, difference in rank[path].items():
            assert difference < 2e-3, (rank["rank"], name, difference)


def test_an_error_of_one_rank_is_raised_on_all(results: list[dict[str, Any]]) -> None:
    assert {rank["agreement"] for rank in results} == {"only the last rank knows"}


def test_a_drifted_rank_is_named(results: list[dict[str, Any]]) -> None:
    for rank in results:
        assert "at step 3, rank 2 differs from rank 0 in their number (2 variables, rank 0 has 1)" in rank["drift"]


def test_gradients_are_reduced_before_they_are_clipped(results: list[dict[str, Any]]) -> None:
    for rank in results:
        reduced, variable = rank["clipped_step"]
        assert reduced == pytest.approx(10 / 4, rel=1e-6)
        assert variable == pytest.approx(-1.0, rel=1e-6)


def test_ranks_draw_from_different_streams(results: list[dict[str, Any]]) -> None:
    states = [rank["seeds"] for rank in results]
    assert states[0] == [7, 0]
    assert len({state[0] for state in states}) == RANKS
