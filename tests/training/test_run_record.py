"""What a run that ends early leaves behind: its status, and how to continue."""

import json
from pathlib import Path

import pytest

from tfdl.config import TrainConfig
from tfdl.errors import RunError, advice_of
from tfdl.runs import RunDirectory
from tfdl.training.output import Output
from tfdl.training.run_record import RunRecord


def record_of(path: Path, **changes: object) -> RunRecord:
    path.mkdir(parents=True)
    record = RunRecord(Output(RunDirectory(path), TrainConfig(**changes), None))
    record.is_open = True
    return record


@pytest.mark.parametrize(
    ("checkpoint", "advice"),
    [
        ("step-00000040", "the checkpoint of step 40 is saved; continue with --output '{}' --resume"),
        # A run that was copied without its links.
        ("last", "the last checkpoint is saved; continue with --output '{}' --resume"),
        (None, "no checkpoint was saved; begin again with --output '{}' --overwrite"),
    ],
)
def test_an_error_says_how_to_continue(tmp_path: Path, checkpoint: str | None, advice: str) -> None:
    path = tmp_path / "a run"
    record = record_of(path)
    if checkpoint is not None:
        (path / "checkpoints" / checkpoint).mkdir(parents=True)
    error = RunError("the loss is nan\nat step 41")
    record.note_error(error)
    assert advice_of(error) == advice.format(path)
    assert json.loads((path / "status.json").read_text()) == {"code": 1, "reason": "the loss is nan"}


def test_the_options_name_the_plugins(tmp_path: Path) -> None:
    record = record_of(tmp_path / "run", plugins=("json",))
    assert "--output" in record.note_verdict(1, "killed")
    assert record.note_verdict(1, "killed").endswith("--plugin json --overwrite")


def test_a_directory_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    record = record_of(tmp_path / "run")
    record.is_open = False
    error = RunError("early")
    record.note_error(error)
    assert advice_of(error) == ""
    assert not (tmp_path / "run" / "status.json").exists()
