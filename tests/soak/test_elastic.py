"""Elastic training of a language model, which loses the state of a lost rank; a broken host; a job without it."""

import json
from pathlib import Path

import pytest

from tests.distributed.elastic_jobs import HOSTS, SMALL, changes, ends, train

pytestmark = pytest.mark.distributed


def test_a_language_model_continues_without_the_state_of_the_lost_rank(tmp_path: Path) -> None:
    """Within an epoch the rows of fewer ranks do not continue the text. The next epoch starts new rows."""
    options = (
        "--elastic", "--commit-steps", "5", "--model", "rnn", "--set", "model.units=8", "--batch-size", "8",
        "--epochs", "2", "--set", "dataset.train_split=train[:9]", "--set", "dataset.validation_split=validation[:1]",
        "--set", "dataset.test_split=test[:2]",
    )  # fmt: skip
    job = train(tmp_path, [("kill", 1, 12)], *options)
    assert job.code == 0, job.output
    (lost,) = changes(tmp_path / "run")
    assert 1 <= lost["step"] <= 12
    notice = "this epoch began with 16 windows in a step: until it ends, each window begins with a state of zeros"
    assert notice in job.output
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["epochs"] == 2
    assert summary["world_size"] == 1
    assert ends(job) == [f"end: size 1 weights {summary['weights_sha256']}"]


def test_without_elastic_a_dead_rank_ends_the_job(tmp_path: Path) -> None:
    """The control of ``tests/distributed/test_elastic.py``: the same launcher and the same fault."""
    job = train(tmp_path, [("kill", 0, 15)], "--epochs", "6", *SMALL)
    assert job.code != 0
    assert not (tmp_path / "run" / "summary.json").exists()
    assert ends(job) == []


def test_a_rank_that_cannot_start_is_left_out_and_too_few_ranks_fail(tmp_path: Path) -> None:
    """One of three ranks is broken, and the others continue. Then one of those is killed."""
    faults = [(f"join:{HOSTS[2]}", 0, 5), ("kill", 1, 20)]
    env = {"BROKEN_HOST": HOSTS[2], "TFDL_START_SECONDS": "5"}
    launcher = ("--min-np", "2", "--max-np", "4", "--elastic-timeout", "10")
    job = train(tmp_path, faults, "--elastic", "--epochs", "6", *SMALL, launcher=launcher, **env)
    assert "this host is broken" in job.output
    records = changes(tmp_path / "run")
    assert len(records) == 1, job.output
    assert records[0]["step"] == 11
    assert records[0]["world_size"] == 2
    assert job.code != 0
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    reason = "a rank was lost at step 22; waiting until there are --min-np ranks again"
    assert status == {"code": None, "reason": reason}
    assert not (tmp_path / "run" / "summary.json").exists()
