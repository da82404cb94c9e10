"""NaN on one of two ranks: all ranks end before the same step, with its cause and the last finite weights."""

import json
import re
from pathlib import Path

import pytest

from tests.distributed.launching import Finished, launch, program
from tests.distributed.programs.diverging import train_with_returns
from tfdl.runs import RunDirectory

pytestmark = [pytest.mark.distributed, pytest.mark.slow]

# With random numbers, statistics over the ranks, and an optimizer that keeps a state.
OPTIONS = (
    "--set", "model.filters=[4]", "--set", "model.units=8", "--set", "model.dropout=0.5",
    "--set", "dataset.image_size=[8,8]", "--batch-size", "32",
)  # fmt: skip


@pytest.fixture(scope="module")
def diverged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    output = tmp_path_factory.mktemp("diverged")
    job = launch(2, *program("diverging"), str(output), *OPTIONS)
    assert job.code == 0, job.output
    return output, job


def test_every_rank_ends_with_the_same_code(diverged: tuple[Path, Finished]) -> None:
    _, job = diverged
    expected = {"none": 0, "loss": 1, "gradient": 1, "sample": 1, "return": 0}
    assert [json.loads(job.lines_of(rank)[-1]) for rank in (0, 1)] == [expected, expected]


@pytest.mark.parametrize("case", ["loss", "gradient"])
def test_the_state_is_that_of_a_run_that_ended_before_the_step(diverged: tuple[Path, Finished], case: str) -> None:
    """Weights, optimizer and random streams, bit for bit."""
    output, _ = diverged
    manifests = [json.loads((output / run / "checkpoints/last/manifest.json").read_text()) for run in ("none", case)]
    states = [
        {name: digest for name, digest in manifest["sha256"].items() if name.endswith(".safetensors")}
        for manifest in manifests
    ]
    assert len(states[0]) == 3
    assert states[0] == states[1]
    assert (output / case / "checkpoints/last").resolve().name == "step-00000006"


@pytest.mark.parametrize(
    ("case", "cause"),
    [
        ("loss", r"step 7 was not made: the loss of training sample (\d+) on rank 1 is NaN or infinite; train again"),
        ("gradient", r"step 7 was not made: the gradient of conv_1/kernel, .* on rank 1, though the loss is finite;"),
        ("sample", r"step \d+ was not made: 'x' of training sample 17 on rank \d has NaN or infinite values; remove"),
    ],
)
def test_the_cause_is_named_once(diverged: tuple[Path, Finished], case: str, cause: str) -> None:
    output, job = diverged
    errors = [line for line in job.output.splitlines() if re.search(cause, line)]
    assert len(errors) == 1, job.output
    record = json.loads((output / case / "divergence.json").read_text())
    bad = [rank for rank in record["ranks"] if rank["bad_losses"] or rank["bad_inputs"] or rank["variables"]]
    if case == "gradient":  # synchronized statistics carry it to the other rank, to the layers below them
        assert set(bad[0]["variables"]) < set(bad[1]["variables"])
        return
    (found,) = bad
    samples = [rank["samples"] for rank in record["ranks"]]
    assert len(set(samples[0]) & set(samples[1])) == 0
    if case == "loss":
        assert found["bad_losses"] == [samples[1][2]]
        assert re.search(cause, errors[0])[1] == str(samples[1][2])  # type: ignore[index]
    if case == "sample":
        assert found["bad_inputs"] == {"x": [17]}
        assert 17 in samples[found["rank"]]


def test_ranks_go_back_together_as_one_process_does(diverged: tuple[Path, Finished], tmp_path: Path) -> None:
    """With averages of the weights. The ranks' states are compared before each checkpoint and at the end."""
    output, _ = diverged
    train_with_returns(tmp_path / "alone", batch_size=8)
    runs = [RunDirectory(output / "return"), RunDirectory(tmp_path / "alone")]
    progresses = [json.loads((run.checkpoint() / "progress.json").read_text()) for run in runs]
    assert progresses[0]["rollbacks"] == progresses[1]["rollbacks"] > 0
    assert progresses[0]["rate_factor"] == progresses[1]["rate_factor"] == 0.5 ** progresses[0]["rollbacks"]
    losses = [run.read_summary()["test"]["loss"] for run in runs]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5, abs=1e-9)
