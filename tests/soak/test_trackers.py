"""The examples of docs/trackers.md with the real MLflow and Weights & Biases, on one rank and two, with a resume."""

import json
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.distributed.launching import environment, launch

PAGE = Path(__file__).parents[2] / "docs" / "trackers.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TRAIN = ("train", "--output", "runs/digits", "--set", "model.filters=[4]", "--image-size", "8", "--batch-size", "64")
# Of W&B's files.
BLOCK_SIZE = 2**15
WHOLE = 1
LAST = 4
OFFLINE = {"MLFLOW_DISABLE_TELEMETRY": "true", "WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the modules of the page."""
    for text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        name = text.split("\n")[0].removeprefix("# ")
        (tmp_path / (name if name.endswith(".py") else "my_tracker.py")).write_text(text, encoding="utf-8")
    return tmp_path


def train(folder: Path, ranks: int, *options: str) -> str:
    """Trains as the page does, and returns what was printed."""
    arguments = (*TRAIN, *options)
    if ranks > 1:
        job = launch(ranks, "tfdl", *arguments, cwd=folder, env=OFFLINE)
        assert job.code == 0, job.output
        return job.output
    done = subprocess.run(
        [sys.executable, "-m", "tfdl", *arguments],
        cwd=folder,
        env=environment(**OFFLINE),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def epochs(folder: Path) -> list[dict[str, Any]]:
    lines = map(json.loads, (folder / "runs" / "digits" / "metrics.jsonl").open())
    return [line for line in lines if line["kind"] == "epoch"]


@pytest.mark.parametrize("ranks", [1, 2])
def test_mlflow(folder, ranks):
    mlflow = pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
    pytest.importorskip("sqlalchemy", reason="sqlalchemy, which MLflow's SQLite storage needs, is not installed")
    for more in (("--epochs", "2"), ("--epochs", "4", "--resume")):
        output = train(folder, ranks, "--callback", "my_mlflow:callbacks", *more)
        assert "warning: Mlflow" not in output
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("tfdl")
    (run,) = client.search_runs([experiment.experiment_id])  # one for both calls and for all ranks
    assert run.info.run_name == "digits"
    assert run.info.status == "FINISHED"
    assert run.data.params["optimizer_name"] == "adam"
    for name, key in (("loss", "train"), ("val_loss", "validation"), ("val_accuracy", "validation")):
        history = sorted(client.get_metric_history(run.info.run_id, name), key=lambda entry: entry.step)
        expected = [(number, line[key][name.removeprefix("val_")]) for number, line in enumerate(epochs(folder))]
        assert [(entry.step, entry.value) for entry in history] == expected
        assert len(history) == 4


def records_of(path: Path) -> Iterator[bytes]:
    """The records of W&B's file: after a header of 7 bytes, a log of LevelDB."""
    content = path.read_bytes()
    assert content.startswith(b":W&B")
    place = 7
    parts: list[bytes] = []
    while place < len(content):
        left_in_block = BLOCK_SIZE - place % BLOCK_SIZE
        if left_in_block < 7:  # no room for another header
            place += left_in_block
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)  # the first number is a checksum
        parts.append(content[place + 7 : place + 7 + length])
        place += 7 + length
        if kind in (WHOLE, LAST):
            yield b"".join(parts)
            parts = []


def logged_by_wandb(folder: Path) -> list[dict[str, Any]]:
    """What the offline runs of W&B have logged of epochs, in the order of time."""
    from wandb.proto import wandb_internal_pb2

    rows = []
    for path in sorted(folder.glob("wandb/offline-run-*-digits/*.wandb")):
        for data in records_of(path):
            record = wandb_internal_pb2.Record.FromString(data)
            items = {item.key or "/".join(item.nested_key): item.value_json for item in record.history.item}
            if "epoch/epoch" in items:
                rows.append({name: json.loads(value) for name, value in items.items()})
    return rows


@pytest.mark.parametrize("ranks", [1, 2])
def test_weights_and_biases(folder, ranks):
    pytest.importorskip("wandb", reason="wandb is not installed")
    for more in (("--epochs", "2"), ("--epochs", "4", "--resume")):
        output = train(folder, ranks, "--callback", "my_wandb:callbacks", *more)
        assert "warning: Wandb" not in output
    assert len(list((folder / "wandb").glob("offline-run-*"))) == 2  # one for each call, on rank 0 alone
    rows = logged_by_wandb(folder)
    expected = epochs(folder)
    assert [row["epoch/epoch"] for row in rows] == [0, 1, 2, 3]
    for row, line in zip(rows, expected, strict=True):
        assert row["epoch/val_loss"] == pytest.approx(line["validation"]["loss"])
        assert row["epoch/accuracy"] == pytest.approx(line["train"]["accuracy"])
        assert row["epoch/learning_rate"] == pytest.approx(0.001)


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_tracker_whose_server_is_away(folder, ranks):
    output = train(folder, ranks, "--callback", "my_tracker:Post", "--epochs", "4")
    message = (
        "warning: Post failed in on_epoch_end, and the run goes on: <urlopen error [Errno 111] Connection refused>"
    )
    words = " ".join(re.sub(r"\[\d\]<\w+>:", "", output).split())  # lines may be wrapped
    assert words.count("warning: Post failed") == 3
    assert words.count(message) == 2
    assert "3 times in a row, and the run goes on without it" in words
    assert json.loads((folder / "runs" / "digits" / "summary.json").read_text())["epochs"] == 4


PROGRAM = """
import math
import sys

from tfdl.training import tensorboard_samples

tensorboard_samples._SHARE = math.inf  # also in the first seconds
from tfdl.cli.main import main

main(sys.argv[1:])
"""


def test_texts_of_two_ranks_change_no_bit(folder):
    """Rank 0 writes texts while the other one waits; weights, streams and the carried state stay the same."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

    (folder / "program.py").write_text(PROGRAM)
    size = ("--model", "rnn", "--set", "model.units=16", "--set", "dataset.train_split=train[1:10]", "--steps", "20")
    splits = ("--set", "dataset.validation_split=validation[:1]", "--set", "dataset.test_split=test[:3]")
    digests = []
    for name in ("true", "false"):
        options = ("--output", name, "--validation-steps", "7", "--set", f"log_samples={name}")
        job = launch(2, sys.executable, "program.py", "train", *size, *splits, *options, cwd=folder)
        assert job.code == 0, job.output
        digests.append(json.loads((folder / name / "summary.json").read_text())["weights_sha256"])
        events = EventAccumulator(str(folder / name / "tensorboard"))
        events.Reload()
        assert ("samples" in events.Tags()["tensors"]) == (name == "true")
    assert digests[0] == digests[1]
