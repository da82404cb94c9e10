"""Elastic training of a language model, whose recurrent state a lost rank takes with it."""

import json
from pathlib import Path

import pytest

from tests.distributed.elastic_jobs import changes, ends, train

pytestmark = pytest.mark.distributed


def test_a_language_model_continues_without_the_state_of_the_lost_rank(tmp_path: Path) -> None:
    """Within an epoch the rows of fewer ranks do not continue the streams. The next epoch starts new ones."""
    splits = ("train_split=train[:9]", "validation_split=validation[:1]", "test_split=test[:2]")
    options = (word for split in splits for word in ("--set", f"dataset.{split}"))
    model = ("--model", "rnn", "--set", "model.units=8", "--batch-size", "8", "--epochs", "2", *options)
    job = train(tmp_path, [("kill", 1, 12)], "--elastic", "--commit-steps", "5", *model)
    assert job.code == 0, job.output
    (lost,) = changes(tmp_path / "run")
    assert 1 <= lost["step"] <= 12
    notice = "this epoch began with 16 windows in a step: until it ends, each window begins with a state of zeros"
    assert notice in job.output
    found = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (found["epochs"], found["world_size"]) == (2, 1)
    assert ends(job) == [f"end: size 1 weights {found['weights_sha256']}"]
