"""``tfdl train --elastic`` under horovodrun's elastic launcher: ranks are killed, fail and join."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.distributed.elastic_jobs import HOSTS, SMALL, changes, ends, train
from tfdl.data.order import epoch_order

pytestmark = [pytest.mark.distributed, pytest.mark.slow]


def test_the_chief_dies_and_another_rank_joins(tmp_path: Path) -> None:
    """Two ranks, then one, then two. Every sample is used once per epoch, in the seeded order."""
    faults = [("kill", 0, 44), (f"join:{HOSTS[2]}", 0, 430)]
    options = ("--elastic", "--commit-steps", "20", "--batch-size", "4", "--epochs", "2", "--seed", "3")
    job = train(tmp_path, faults, *options, "--set", "optimizer.scale_learning_rate=linear", COUNT_USES="1")
    assert job.code == 0, job.output
    run = tmp_path / "run"

    lost, joined = changes(run)
    assert lost["step"] == 41
    assert lost["world_size"] == 1
    assert joined["world_size"] == 2
    assert "repeated" not in joined["text"], "a rank that joins costs no step"
    assert "1 rank now, 2 before: from step 41 on; 5 steps after it are repeated" in job.output
    assert "learning rate 0.001 x 1 (1 rank)" in job.output

    # Each weight is minus the number of uses of a sample, so every sample was used in both epochs.
    (weights,) = load_file(run / "checkpoints/last/model.safetensors").values()
    assert (weights == -2).all()

    # The first epoch has 319 steps: 41 of 8 samples (the first alone, for its proof) and 278 of 4.
    optimizer = load_file(run / "checkpoints/last/optimizer.safetensors")
    (last_steps,) = (value for name, value in optimizer.items() if "last" in name)  # that used each sample
    in_order = last_steps[epoch_order(1437, 3, 1)]
    assert (np.diff(in_order) >= 0).all(), "the epoch's order holds across the change"
    steps, sizes = np.unique(in_order, return_counts=True)
    assert steps.tolist() == list(range(320, 320 + len(steps)))
    steps_alone = joined["step"] - 319
    expected_sizes = [4] * steps_alone + [8] * (len(sizes) - steps_alone - 1)
    assert sizes.tolist()[:-1] == expected_sizes  # the last step of the epoch is short

    summary = json.loads((run / "summary.json").read_text())
    assert summary["epochs"] == 2
    assert summary["steps"] == 319 + len(steps)
    assert summary["world_size"] == 2
    assert ends(job) == [f"end: size 2 weights {summary['weights_sha256']}"] * 2
    assert json.loads((run / "status.json").read_text())["code"] == 0
    assert (run / "config.yaml").exists()


def test_one_of_three_fails_and_one_is_killed(tmp_path: Path) -> None:
    """With a schedule, dropout and an optimizer with state, the remaining rank finishes the training."""
    faults = [("raise", 1, 10), ("kill", 1, 30)]
    options = ("--elastic", "--commit-steps", "5", "--epochs", "6", "--schedule", "cosine", "--learning-rate", "0.01")
    job = train(tmp_path, faults, *options, *SMALL, ranks=3)
    assert job.code == 0, job.output
    assert [line["world_size"] for line in changes(tmp_path / "run")] == [2, 1], job.output
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["epochs"] == 6
    assert summary["world_size"] == 1
    assert summary["test"]["accuracy"] > 0.5
    assert ends(job) == [f"end: size 1 weights {summary['weights_sha256']}"]
    assert "ZeroDivisionError: made for the test" in job.output
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    rates = [record["learning_rate"] for record in records if record["kind"] == "steps"]
    assert rates == sorted(rates, reverse=True), "the schedule continues from its position"
