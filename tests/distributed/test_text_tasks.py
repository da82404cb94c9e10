"""Tasks of texts on several ranks: the model of one process, its metrics, and whole runs."""

import json
from typing import Any

import pytest

import tfdl
from tests.distributed.launching import launch, program

pytestmark = [pytest.mark.distributed, pytest.mark.slow]


@pytest.fixture(scope="module", params=[2])
def results(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Of 53 samples the last of five batches has five, which the ranks share unevenly."""
    job = launch(request.param, *program("text_tasks"))
    assert job.code == 0, job.output
    line = next(line for line in job.lines_of(0) if line.startswith("{"))
    return json.loads(line)


@pytest.mark.parametrize("task", ["text-classification", "translation"])
def test_steps_and_metrics_are_those_of_one_process(results: dict[str, Any], task: str) -> None:
    result = results[task]
    assert result["weights"] < 1e-9
    assert result["together"] == pytest.approx(result["alone"], rel=1e-9)
    assert len(result["alone"]) > 5


def test_a_mean_over_each_rank_s_own_tokens_is_another_model(results: dict[str, Any]) -> None:
    """The control: the comparison finds a loss that each rank averages for itself."""
    assert results["plain mean"] > 1e-4


def test_a_run_and_its_evaluation_on_two_ranks(tmp_path) -> None:
    """Of a translator: each rank decodes its samples, and rank 0 writes the metrics of all."""
    size = (
        *("--set", "model.hidden_dim=16", "--set", "model.num_heads=2", "--set", "model.num_layers=1"),
        *("--set", "dataset.validation_split=validation[:31]", "--set", "dataset.test_split=test[:31]"),
    )
    run = tmp_path / "run"
    job = launch(2, "tfdl", "train", "--task", "translation", "--output", str(run), "--steps", "12", *size)
    assert job.code == 0, job.output
    summary = json.loads((run / "summary.json").read_text())
    assert summary["world_size"] == 2
    assert summary["global_batch_size"] == 128
    assert summary["steps"] == 12
    assert tfdl.evaluate(run) == pytest.approx(summary["test"], rel=1e-6)
