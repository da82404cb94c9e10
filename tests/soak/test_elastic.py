"""Elastic training of a language model, which loses the recurrent state of a lost rank; and a job without it."""

import json
from pathlib import Path

import pytest

from tests.distributed.elastic_jobs import SMALL, changes, ends, train

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
