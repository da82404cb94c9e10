"""A run of the user's own files from the command line: stratified splits, and files that change after it began."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.cli.conftest import TINY, Command
from tfdl.data.hash_split import hash_split

OPTIONS = (*TINY, "--set", "xla=off", "--epochs", "1")
HINT = "(--stratified gives each class a share of every split)"


def add_images(folder: Path, name: str, numbers: range) -> None:
    (folder / name).mkdir(parents=True, exist_ok=True)
    for number in numbers:
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name / f"{number}.png")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """200 images of cats, and four of dogs that are all for training by their hashes."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "prepared"))
    folder = tmp_path / "pets"
    add_images(folder, "cat", range(200))
    add_images(folder, "dog", range(1000, 1030))
    dogs = sorted((folder / "dog").iterdir())
    kept = [path for path in dogs if hash_split(path.read_bytes()) == "train"][:4]
    for path in set(dogs) - set(kept):
        path.unlink()
    return folder


def support(run_here: Command, output: Path, split: str) -> dict[str, int]:
    code, out, err = run_here("evaluate", output, "--split", split, "--json", "--details")
    assert (code, err) == (0, "")
    return {name: scores["support"] for name, scores in json.loads(out)["classes"].items()}


def test_a_rare_class_has_samples_in_every_split(run_here: Command, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    code, out, err = run_here("train", "--dataset", folder, "--stratified", *OPTIONS, "--output", output)
    assert (code, err) == (0, "")
    assert "162 training samples, 21 for validation, 21 for the test" in out
    assert "without" not in out
    config = yaml.safe_load((output / "config.yaml").read_text())
    assert config["dataset"]["stratified"] is True
    # The run keeps the choice.
    assert support(run_here, output, "test") == {"cat": 20, "dog": 1}
    assert support(run_here, output, "validation") == {"cat": 20, "dog": 1}
    assert support(run_here, output, "train") == {"cat": 160, "dog": 2}
    code, out, err = run_here("train", "--output", output, "--resume", "--epochs", 2)
    assert (code, err) == (0, "")
    assert "162 training samples, 21 for validation, 21 for the test" in out
    assert "the data have changed" not in out


def test_without_the_option_it_has_none_and_the_option_is_named(
    run_here: Command, folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "run"
    code, out, err = run_here("train", "--dataset", folder, *OPTIONS, "--output", output)
    assert (code, err) == (0, "")
    assert f"without validation samples: dog {HINT}\nwithout test samples: dog {HINT}\n" in out
    assert support(run_here, output, "test")["dog"] == 0
    code, out, err = run_here("train", "--output", output, "--resume", "--epochs", 2, "--stratified")
    assert (code, out) == (2, "")
    assert "--resume with dataset.stratified=True, but the run has False" in err
    assert err.count("\n") == 1


def test_more_files_than_the_run_began_with(run_here: Command, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    assert run_here("train", "--dataset", folder, "--stratified", *OPTIONS, "--output", output)[0] == 0
    assert json.loads((output / "assets" / "samples.json").read_text()) == {"train": 162, "validation": 21, "test": 21}
    add_images(folder, "cat", range(200, 220))
    line = (
        "the data have changed: train has 178 samples, the run began with 162; validation has 23 samples, the run began"
        " with 21; test has 23 samples, the run began with 21\n"
    )
    for epochs in (2, 3):  # each time, since the record is that of the beginning
        code, out, err = run_here("train", "--output", output, "--resume", "--epochs", epochs)
        assert (code, err) == (0, "")
        assert line in out
    code, out, err = run_here("evaluate", output)
    assert (code, err) == (0, "")
    note = "the data have changed: test has 23 samples, the run began with 21\n"
    assert f"note: {note}" in out
    code, out, err = run_here("evaluate", output, "--json")
    assert (code, err) == (0, f"note: {output}: {note}")
    json.loads(out)
    code, out, err = run_here("evaluate", output, output)
    assert out.count(f"note: {output}: {note}") == 2
    # A run of an older version has no record.
    (output / "assets" / "samples.json").unlink()
    assert "data have changed" not in run_here("evaluate", output)[1]
    assert "data have changed" not in run_here("train", "--output", output, "--resume", "--epochs", 4)[1]
    assert not (output / "assets" / "samples.json").exists()


def test_labels_as_they_are_written(run_here: Command, tmp_path: Path) -> None:
    lines = ["text,label", *(f"some text {number},{('7', '007')[number % 2]}" for number in range(60))]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    options: tuple[Any, ...] = ("--dataset", tmp_path / "rows.csv", "--task", "text-classification")
    options = (*options, "--tokenizer", "byte", "--set", "model.units=4", "--steps", 1, "--batch-size", 4)
    code, out, err = run_here("train", *options, "--output", tmp_path / "merged")
    assert (code, out) == (2, "")
    assert "has one label, '7', expected at least two classes" in err
    code, out, err = run_here("train", *options, "--exact-labels", "--output", tmp_path / "run")
    assert (code, err) == (0, "")
    assert "2 classes: 007, 7\n" in out
    assert set(support(run_here, tmp_path / "run", "test")) == {"007", "7"}
    (tmp_path / "rows.csv").write_text("\n".join([*lines, *(f"more {number},8" for number in range(30))]) + "\n")
    code, out, err = run_here("evaluate", tmp_path / "run")
    assert (code, out) == (2, "")
    assert "are not those that the run was trained for (new: 8)" in err
