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
    assert (lost["step"], lost["world_size"]) == (41, 1)
    assert joined["world_size"] == 2
    assert "repeated" not in joined["text"], "a rank that joins costs no step"
    assert "1 rank now, 2 before: from step 41 on; 5 steps after it are repeated" in job.output
    assert "learning rate 0.001 x 1 (1 rank)" in job.output

    # 1,437 samples: 41 steps of 8 (the first alone, for its proof) and 278 of 4 in the first epoch.
    last = load_file(run / "checkpoints/last/optimizer.safetensors")
    (used_last,) = (value for name, value in last.items() if "last" in name)
    (uses,) = load_file(run / "checkpoints/last/model.safetensors").values()
    assert (uses == -2).all()
    in_order = used_last[epoch_order(1437, 3, 1)]
    steps, sizes = np.unique(in_order, return_counts=True)
    assert (np.diff(in_order) >= 0).all(), "the epoch's order holds across the change"
    alone = joined["step"] - 319
    assert sizes.tolist()[:-1] == [4] * alone + [8] * (len(sizes) - alone - 1)
    assert steps.tolist() == list(range(320, 320 + len(steps)))

    summary = json.loads((run / "summary.json").read_text())
    assert (summary["epochs"], summary["steps"], summary["world_size"]) == (2, 319 + len(steps), 2)
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
    assert (summary["epochs"], summary["world_size"]) == (6, 1)
    assert summary["test"]["accuracy"] > 0.5
    assert ends(job) == [f"end: size 1 weights {summary['weights_sha256']}"]
    assert "ZeroDivisionError: made for the test" in job.output
    final = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    rates = [line["learning_rate"] for line in final if line["kind"] == "steps"]
    assert rates == sorted(rates, reverse=True), "the schedule continues from its position"


def test_a_rank_that_cannot_start_is_left_out_and_too_few_ranks_never_succeed(tmp_path: Path) -> None:
    """One of three ranks is broken, and the others continue. Then one of those is killed."""
    faults = [(f"join:{HOSTS[2]}", 0, 5), ("kill", 1, 20)]
    env = {"BROKEN_HOST": HOSTS[2], "TFDL_START_SECONDS": "5"}
    launcher = ("--min-np", "2", "--elastic-timeout", "10")
    job = train(tmp_path, faults, "--elastic", "--epochs", "6", *SMALL, launcher=launcher, **env)
    assert "this host is broken" in job.output
    assert [(line["step"], line["world_size"]) for line in changes(tmp_path / "run")] == [(11, 2)], job.output
    assert job.code != 0
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    waiting = "a rank was lost at step 22; waiting until there are --min-np ranks again"
    assert status == {"code": None, "reason": waiting}
    assert not (tmp_path / "run" / "summary.json").exists()


def test_without_elastic_a_dead_rank_ends_the_job(tmp_path: Path) -> None:
    """The control: the same launcher, the same fault."""
    job = train(tmp_path, [("kill", 0, 15)], "--epochs", "6", *SMALL)
    assert job.code != 0
    assert not (tmp_path / "run" / "summary.json").exists()
    assert ends(job) == []
