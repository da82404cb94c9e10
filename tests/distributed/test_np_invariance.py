"""One global batch gives one model on any number of ranks.

In float64 no rounding hides a mistake. In float32 the tolerance is the distance of one process to itself with the
samples of each batch in another order, because only the order of additions may differ.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.distributed.launching import launch, program

pytestmark = [pytest.mark.distributed, pytest.mark.slow]

FAMILIES = ("cnn", "rnn", "transformer")


def run_trajectories(ranks: int, folder: Path) -> dict[str, Any]:
    job = launch(ranks, *program("trajectories"), str(folder))
    assert job.code == 0, job.output
    return json.loads(job.lines_of(0)[-1])


class Trajectories(dict[int, dict[str, Any]]):
    """Number of ranks -> their results. The job of one rank writes the file that the others compare with."""

    def __init__(self, folder: Path):
        self._folder = folder
        super().__init__({1: run_trajectories(1, folder)})

    def __missing__(self, ranks: int) -> dict[str, Any]:
        self[ranks] = run_trajectories(ranks, self._folder)
        return self[ranks]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, Any]]:
    return Trajectories(tmp_path_factory.mktemp("trajectories"))


@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("family", FAMILIES)
def test_twenty_steps_are_those_of_one_process(results: dict[int, dict[str, Any]], family: str, ranks: int) -> None:
    """All losses, and the weights at the end. In the last batch of an epoch the fourth rank has no sample."""
    float64 = results[ranks][f"{family} float64"]
    for quantity in ("losses", "weights"):
        assert float64[quantity] < 1e-9, quantity


@pytest.mark.parametrize(("family", "ranks"), [*((family, 2) for family in FAMILIES), ("cnn", 4)])
def test_float32_is_as_accurate_as_one_process(results: dict[int, dict[str, Any]], family: str, ranks: int) -> None:
    float32 = results[ranks][f"{family} float32"]
    other_order = results[1][f"{family} float32"]
    for quantity in ("losses", "weights"):
        assert float32[quantity] <= 3 * other_order[quantity], quantity


def test_a_plain_mean_over_the_ranks_is_another_model(results: dict[int, dict[str, Any]]) -> None:
    """The control: if rows have unequal numbers of tokens, ranks must be weighted by their tokens."""
    assert results[2]["plain mean"]["losses"] > 1e-3
    assert results[2]["plain mean"]["weights"] > 1e-3


def test_dropout_on_two_ranks_repeats_bit_for_bit(results: dict[int, dict[str, Any]]) -> None:
    """The program checks that each rank drops different values."""
    digests = results[2]["dropout"]
    for family in FAMILIES:
        first, second = digests[family]
        assert first == second, family
    assert len({first for first, _ in digests.values()}) == len(FAMILIES)


def test_three_ranks_with_all_options_of_a_step() -> None:
    """Nine steps of AdamW with clipping, a schedule, averages and batch normalization, also in pieces.

    In the control each rank normalizes by its own statistics.
    """
    job = launch(3, *program("np_invariance"))
    assert job.code == 0, job.output
    differences = json.loads(job.lines_of(0)[-1])
    for case in ("synchronized", "pieces", "pieces of a short batch"):
        assert differences[case] < 1e-9, case
    assert differences["local statistics"] > 1e-3
