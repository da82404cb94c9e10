"""``horovodrun tfdl predict`` and ``tfdl generate``: what one process writes, once, in the order of the inputs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tfdl
from tests.distributed.launching import Finished, launch_in_turn
from tfdl.cli.main import main
from tfdl.runs import RunDirectory

pytestmark = [pytest.mark.distributed, pytest.mark.slow]


PROMPTS = ("--prompt", "import", "--prompt", "def ", "--temperature", "1", "--json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``scans``: 29 images, of which rank 1 will find one damaged."""
    folder = tmp_path_factory.mktemp("predictions")
    (folder / "scans").mkdir()
    random = np.random.default_rng(0)
    for number in range(29):
        Image.fromarray(random.integers(0, 256, (8, 8), np.uint8)).save(folder / "scans" / f"{number:02}.png")
    (folder / "scans" / "13.png").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def arguments(folder: Path, trained_run: RunDirectory, tiny_language: Any) -> dict[str, list[str]]:
    """Batches of 3, in chunks of 48: the last batch is short."""
    predict = ["predict", str(trained_run.path), str(folder / "scans"), "--batch-size", "3", "--top-k", "3"]
    writer = tfdl.train(tiny_language("rnn", steps=2), folder / "writer")
    return {
        "predict": [*predict, "--skip-bad-rows"],
        "generate": ["generate", str(writer.path), *PROMPTS],
        "refused": predict,
    }


@pytest.fixture(scope="module")
def jobs(arguments: dict[str, list[str]], folder: Path) -> dict[str, Finished]:
    """The commands on two ranks. The last one ends the job."""
    outputs = {
        "predict": ("--output", str(folder / "two.jsonl")),
        "generate": (),
        "refused": ("--output", str(folder / "out" / "two.jsonl")),
    }
    jobs = launch_in_turn(2, *([*arguments[name], *output] for name, output in outputs.items()))
    return dict(zip(outputs, jobs, strict=True))


def test_two_ranks_write_the_file_of_one_process(
    jobs: dict[str, Finished], arguments: dict[str, list[str]], folder: Path
) -> None:
    with pytest.raises(SystemExit):
        main([*arguments["predict"], "--output", str(folder / "one.jsonl")])
    job = jobs["predict"]
    assert job.code == 0, job.output
    lines = (folder / "two.jsonl").read_text().splitlines()
    assert [Path(json.loads(line)["input"]).stem for line in lines] == [f"{n:02}" for n in range(29) if n != 13]
    assert lines == (folder / "one.jsonl").read_text().splitlines()
    assert job.output.count("28 predictions in") == 1
    assert job.output.count("1 bad input left out") == 1


def test_bad_input_ends_all_ranks_with_one_line(jobs: dict[str, Finished], folder: Path) -> None:
    job = jobs["refused"]
    assert job.code != 0
    assert job.output.count("13.png: not an image that can be read") == 1, job.output
    assert list((folder / "out").iterdir()) == []


def test_one_rank_writes_texts(
    jobs: dict[str, Finished], arguments: dict[str, list[str]], capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    with pytest.raises(SystemExit):
        main(arguments["generate"])
    expected = capfd.readouterr().out.splitlines()
    assert len(expected) == 2
    job = jobs["generate"]
    assert job.code == 0, job.output
    assert job.lines_of(0) == expected
    assert job.lines_of(1) == []
