"""Ranks that diverge are found, named and stopped; state that is shared by the ranks starts and stays equal."""

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from tests.distributed.launching import Finished, launch, program
from tfdl.runs.checkpoint import verify

pytestmark = [pytest.mark.distributed, pytest.mark.slow]

CASES = ("slot/4", "moving_variance", "weight/0", "unwatched", "start", "start-alone", "local")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("one_bit")


@pytest.fixture(scope="module")
def job(runs: Path) -> Finished:
    """All cases, and then a command that the fault ends."""
    return launch(2, *program("one_bit"), str(runs), *CASES)


@pytest.fixture(scope="module")
def outcomes(job: Finished) -> list[dict[str, dict[str, Any]]]:
    """The outcome of each case on each rank."""
    return json.loads(next(line for line in job.lines_of(0) if line.startswith("[{")))


def test_one_bit_on_one_rank_ends_the_command(job: Finished, runs: Path) -> None:
    run = runs / "command"
    assert job.code == 1
    lines = [line for line in job.output.splitlines() if "tfdl: " in line]
    assert len(lines) == 2, job.output
    assert lines[1].endswith(f"tfdl: the checkpoint of step 12 is saved; continue with --output {run} --resume")
    assert lines[0].startswith("[0]<stderr>:tfdl: error: at step 24, rank 1 differs from rank 0 in ")
    assert "/kernel: " in lines[0]
    assert "they diverged after step 12; every checkpoint is of equal ranks" in lines[0]
    status = json.loads((run / "status.json").read_text())
    assert status["code"] == 1
    assert status["reason"] in lines[0]
    assert [path.name for path in (run / "checkpoints").glob("step-*")] == ["step-00000012"]
    verify(run / "checkpoints" / "last")
    assert not (run / "summary.json").exists()


@pytest.mark.parametrize(
    ("case", "step", "word"),
    [
        ("slot/4", 20, "_velocity"),
        ("moving_variance", 24, "/moving_variance"),
    ],
)
def test_the_variable_that_differs_is_named(
    outcomes: list[dict[str, dict[str, Any]]], case: str, step: int, word: str
) -> None:
    errors = {rank[case]["error"] for rank in outcomes}
    assert len(errors) == 1  # every rank stops with the same message
    (error,) = errors
    assert error.startswith(f"at step {step}, rank 1 differs from rank 0 in ")
    assert word in error.split(":")[0]


def test_without_comparisons_during_training_it_is_found_at_the_end(outcomes: list[dict[str, dict[str, Any]]]) -> None:
    error = outcomes[0]["weight/0"]["error"]
    assert error.startswith("at step 24, rank 1 differs")
    assert "do not use what was saved" in error


def test_without_any_comparison_the_job_ends_well_with_two_models(
    outcomes: list[dict[str, dict[str, Any]]], runs: Path
) -> None:
    """The control: the fault is real, and nothing else detects it."""
    outcome = outcomes[0]["unwatched"]
    assert outcome["error"] == ""
    assert any("kernel" in name for name in outcome["differing"])
    assert json.loads((runs / "unwatched" / "status.json").read_text())["code"] == 0


def test_every_variable_starts_as_rank_0_s(outcomes: list[dict[str, dict[str, Any]]]) -> None:
    """Weights, statistics, slots, step count, averages and loss scale are equal. Only random streams differ by rank."""
    outcome = outcomes[0]["start"]
    assert outcome["error"] == ""  # also from the comparison after the first step
    assert outcome["differing"]
    assert all("seed_generator" in name for name in outcome["differing"])


def test_without_the_broadcast_the_first_comparison_finds_it(outcomes: list[dict[str, dict[str, Any]]]) -> None:
    """The control: without the broadcast the variables differ."""
    error = outcomes[0]["start-alone"]["error"]
    assert error.startswith("at step 1, rank 1 differs from rank 0 in ")
    assert " more: " in error


def test_local_statistics_are_averaged_before_they_are_saved(
    outcomes: list[dict[str, dict[str, Any]]], runs: Path
) -> None:
    first, second = (rank["local"] for rank in outcomes)
    assert first["error"] == ""
    assert first["after the last step"] != second["after the last step"]
    pairs = zip(first["after the last step"], second["after the last step"], strict=True)
    mean = [(a + b) / 2 for a, b in pairs]
    assert first["at the end"] == pytest.approx(mean, rel=1e-6)
    assert second["at the end"] == first["at the end"]
    weights = load_file(runs / "local" / "checkpoints" / "last" / "model.safetensors")
    (variance,) = (value for path, value in weights.items() if path.endswith("moving_variance"))
    assert variance.tolist() == first["at the end"]
