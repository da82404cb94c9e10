"""``horovodrun tfdl predict`` and ``tfdl generate``: what one process writes, once, in the order of the inputs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tfdl
from tests.distributed.launching import launch
from tfdl.cli.main import main
from tfdl.runs import RunDirectory

pytestmark = [pytest.mark.distributed, pytest.mark.slow]


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(29):
        Image.fromarray(random.integers(0, 256, (8, 8), np.uint8)).save(folder / f"{number:02}.png")
    return folder


def test_two_ranks_write_the_file_of_one_process(trained_run: RunDirectory, scans: Path, tmp_path: Path) -> None:
    """Batches of 3, in chunks of 48: the last batch is short, and one image is damaged."""
    (scans / "13.png").write_bytes(b"no image")
    arguments = ["predict", str(trained_run.path), str(scans), "--batch-size", "3", "--top-k", "3", "--skip-bad-rows"]
    with pytest.raises(SystemExit):
        main([*arguments, "--output", str(tmp_path / "one.jsonl")])
    job = launch(2, "tfdl", *arguments, "--output", str(tmp_path / "two.jsonl"))
    assert job.code == 0, job.output
    lines = (tmp_path / "two.jsonl").read_text().splitlines()
    assert [Path(json.loads(line)["input"]).stem for line in lines] == [f"{n:02}" for n in range(29) if n != 13]
    assert lines == (tmp_path / "one.jsonl").read_text().splitlines()
    assert job.output.count("28 predictions in") == 1
    assert job.output.count("1 bad input left out") == 1


def test_bad_input_ends_all_ranks_with_one_line(trained_run: RunDirectory, scans: Path, tmp_path: Path) -> None:
    (scans / "05.png").write_bytes(b"no image")  # rank 1's
    command = ["tfdl", "predict", str(trained_run.path), str(scans), "--batch-size", "3"]
    job = launch(2, *command, "--output", str(tmp_path / "out" / "two.jsonl"))
    assert job.code != 0
    assert job.output.count("05.png: not an image that can be read") == 1, job.output
    assert list((tmp_path / "out").iterdir()) == []


def test_one_rank_writes_texts(tiny_language: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = tfdl.train(tiny_language("rnn", steps=2), tmp_path / "run")
    arguments = ["generate", str(run.path), "--prompt", "import", "--prompt", "def ", "--temperature", "1", "--json"]
    capfd.readouterr()
    with pytest.raises(SystemExit):
        main(arguments)
    expected = capfd.readouterr().out.splitlines()
    assert len(expected) == 2
    job = launch(2, "tfdl", *arguments)
    assert job.code == 0, job.output
    assert job.lines_of(0) == expected
    assert job.lines_of(1) == []
