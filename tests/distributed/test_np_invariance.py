"""One global batch gives one model on any number of ranks.

In float64 no rounding hides a mistake. In float32 the yardstick is one process beside itself, with the samples of its
batches in another order: sums of another order are all that may differ.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.distributed.launching import launch, program

pytestmark = [pytest.mark.distributed, pytest.mark.slow]

FAMILIES = ("cnn", "rnn", "transformer")


def job_of(ranks: int, folder: Path) -> dict[str, Any]:
    job = launch(ranks, *program("trajectories"), str(folder))
    assert job.code == 0, job.output
    found: dict[str, Any] = json.loads(job.lines_of(0)[-1])
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, Any]]:
    """What 1, 2 and 4 ranks found; one rank leaves the file that the others compare with."""
    folder = tmp_path_factory.mktemp("trajectories")
    return {ranks: job_of(ranks, folder) for ranks in (1, 2, 4)}


@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("family", FAMILIES)
def test_twenty_steps_are_those_of_one_process(found: dict[int, dict[str, Any]], family: str, ranks: int) -> None:
    """All losses, and the weights at the end; the last batch of an epoch leaves the fourth rank without a sample."""
    for what in ("losses", "weights"):
        assert found[ranks][f"{family} float64"][what] < 1e-9, what
        assert found[ranks][f"{family} float32"][what] <= 3 * found[1][f"{family} float32"][what], what


def test_a_plain_mean_over_the_ranks_is_another_model(found: dict[int, dict[str, Any]]) -> None:
    """The control: where rows have unequal numbers of tokens, ranks must count by tokens."""
    assert found[2]["plain mean"]["losses"] > 1e-3
    assert found[2]["plain mean"]["weights"] > 1e-3


def test_dropout_on_four_ranks_repeats_bit_for_bit(found: dict[int, dict[str, Any]]) -> None:
    """Each rank drops different values, which the program checks."""
    first, second = found[4]["dropout"]
    assert first == second
    assert len(set(first.values())) == len(FAMILIES)


def test_three_ranks_with_all_that_a_step_may_be_made_of() -> None:
    """Nine steps of AdamW with clipping, a schedule, averages and batch normalization, also in pieces.

    The control keeps batch statistics to each rank.
    """
    job = launch(3, *program("np_invariance"))
    assert job.code == 0, job.output
    differences = json.loads(job.lines_of(0)[-1])
    for case in ("synchronized", "pieces", "pieces of a short batch"):
        assert differences[case] < 1e-9, case
    assert differences["local statistics"] > 1e-3
