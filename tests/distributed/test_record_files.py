"""Two ranks train on images in records: one of them converts, and the model is that of one process."""

import json
from pathlib import Path

import pytest

from tests.data.records.making import random_images, write
from tests.distributed.launching import launch
from tfdl.cli.main import main

pytestmark = [pytest.mark.distributed, pytest.mark.slow]

OPTIONS = (
    *("--precision", "float64", "--epochs", "2", "--image-size", "8", "--augmentation", "flip"),
    *("--set", "model.filters=[4]", "--set", "model.units=8", "--set", "model.dropout=0", "--xla", "off"),
    *("--set", "dataset.memory_limit_mb=0"),
)


def test_two_ranks_convert_once_and_train_the_model_of_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"image": image, "label": number % 2} for number, image in enumerate(random_images(150))]
    path = write(tmp_path, "pets", rows, "parquet")
    losses = {}
    for ranks in (2, 1):
        run = tmp_path / f"run-{ranks}"
        command = ("train", "--dataset", str(path), "--output", str(run), *OPTIONS)
        place = ("--data-dir", str(tmp_path / f"prepared-{ranks}"), "--batch-size", str(32 // ranks))
        if ranks == 1:
            with pytest.raises(SystemExit):
                main([*command, *place])
            output = "".join(capsys.readouterr())
        else:
            output = launch(ranks, "tfdl", *command, *place).output
        assert output.count("converting 1 Parquet file") == 1, output
        epochs = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        values = [epoch["validation"]["loss"] for epoch in epochs if epoch["kind"] == "epoch"]
        losses[ranks] = [*values, json.loads((run / "summary.json").read_text())["test"]["loss"]]
    assert len(losses[1]) == 3
    assert losses[2] == pytest.approx(losses[1], abs=1e-9)
