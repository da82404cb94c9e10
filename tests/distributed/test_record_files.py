"""Two ranks train on images in records: one of them converts, and the model is that of one process."""

import json
from pathlib import Path

import pytest

from tests.data.records.making import random_images, write
from tests.distributed.launching import launch

pytestmark = [pytest.mark.distributed, pytest.mark.slow]

OPTIONS = (
    *("--precision", "float64", "--epochs", "2", "--image-size", "8", "--augmentation", "flip"),
    *("--set", "model.filters=[4]", "--set", "model.units=8", "--set", "model.dropout=0", "--xla", "off"),
    *("--set", "dataset.memory_limit_mb=0"),
)


def test_two_ranks_convert_once_and_train_the_model_of_one(tmp_path: Path) -> None:
    rows = [{"image": image, "label": number % 2} for number, image in enumerate(random_images(150))]
    path = write(tmp_path, "pets", rows, "parquet")
    losses = {}
    for ranks in (2, 1):
        run = tmp_path / f"run-{ranks}"
        command = ("tfdl", "train", "--dataset", str(path), "--output", str(run), *OPTIONS)
        place = ("--data-dir", str(tmp_path / f"prepared-{ranks}"), "--batch-size", str(32 // ranks))
        job = launch(ranks, *command, *place)
        assert job.code == 0, job.output
        assert job.output.count("converting 1 Parquet file") == 1
        epochs = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        values = [epoch["validation"]["loss"] for epoch in epochs if epoch["kind"] == "epoch"]
        losses[ranks] = [*values, json.loads((run / "summary.json").read_text())["test"]["loss"]]
    assert len(losses[1]) == 3
    assert losses[2] == pytest.approx(losses[1], abs=1e-9)
