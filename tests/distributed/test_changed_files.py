"""Files that have changed since a run began, resumed and evaluated on two ranks; ranks with different files."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tfdl
from tests.distributed.launching import launch, launch_in_turn
from tfdl.config import compose
from tfdl.distributed.equal_data import check_equal_splits
from tfdl.errors import UserError

SMALL = {"model.filters": [4], "model.units": 8, "xla": "off", "batch_size": 16, "epochs": 1}
COUNTS = {"train": 48, "validation": 6, "test": 6}


def add_class(folder: Path, name: str, count: int = 20) -> None:
    (folder / name).mkdir(parents=True)
    for number in range(count):
        pixels = np.random.default_rng([number, *name.encode()]).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name / f"{number}.png")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder of three classes, and a run of one epoch on one rank."""
    folder = tmp_path_factory.mktemp("changed") / "pets"
    for name in ("cat", "dog", "eel"):
        add_class(folder, name)
    output = folder.parent / "run"
    tfdl.train(compose({"dataset": {"name": str(folder), "stratified": True}}, SMALL), output)
    assert json.loads((output / "assets" / "samples.json").read_text()) == COUNTS
    return folder, output


@pytest.fixture
def folder(trained: tuple[Path, Path]) -> Iterator[Path]:
    """The run's folder, which is restored after the test."""
    folder, _ = trained
    kept = shutil.copytree(folder, folder.parent / "kept")
    yield folder
    shutil.rmtree(folder)
    kept.rename(folder)


@pytest.fixture
def output(trained: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the run."""
    return shutil.copytree(trained[1], tmp_path / "run", symlinks=True)


@pytest.mark.distributed
@pytest.mark.slow
def test_other_classes_are_refused_on_other_ranks(folder: Path, output: Path) -> None:
    (folder / "eel").rename(folder / "fox")
    message = (
        f"tfdl: error: the classes of {str(folder)!r} are not those that the run was trained for"
        " (missing now: eel; new: fox); give it the data that it had, or train a new run"
    )
    before = (output / "config.yaml").read_text()
    for command in (("train", "--output", str(output), "--resume", "--epochs", "2"), ("evaluate", str(output))):
        job = launch(2, "tfdl", *command)
        assert job.code != 0
        assert job.lines_of(0, "stderr").count(message) == 1, job.output
        # The shell that the launcher starts a rank in may say that it was terminated.
        assert not any("error" in line for line in job.lines_of(1, "stderr")), job.output
    assert (output / "config.yaml").read_text() == before


@pytest.mark.distributed
@pytest.mark.slow
def test_other_numbers_of_samples_are_reported_on_other_ranks(folder: Path, output: Path) -> None:
    for path in sorted((folder / "cat").iterdir())[:10]:
        path.unlink()
    evaluation = ("evaluate", str(output))
    resumed, evaluated = launch_in_turn(2, ("train", "--output", str(output), "--resume", "--epochs", "2"), evaluation)
    assert resumed.code == evaluated.code == 0, resumed.output + evaluated.output
    line = (
        "the data have changed: train has 40 samples, the run began with 48; validation has 5 samples, the run began"
        " with 6; test has 5 samples, the run began with 6"
    )
    assert resumed.lines_of(0).count(line) == 1, resumed.output
    assert "note: the data have changed: test has 5 samples, the run began with 6" in evaluated.lines_of(0)
    assert evaluated.lines_of(1) == []


@pytest.mark.parametrize(
    ("classes", "counts", "message"),
    [
        (("cat", "fox"), COUNTS, r"dataset 'pets' has other classes on rank 1 than on rank 0 \(no 'dog'\); expected"),
        (
            ("cat", "dog", "eel"),
            COUNTS,
            r"other classes on rank 1 than on rank 0 \(also 'eel'\); expected the same data",
        ),
        (
            ("dog", "cat"),
            COUNTS,
            r"other classes on rank 1 than on rank 0 \(in another order\); expected the same data",
        ),
        (
            ("cat", "dog"),
            {**COUNTS, "train": 1047},
            "'pets' has 48 samples in train on rank 0 and 1,047 on rank 1; expected the same data on every host",
        ),
    ],
)
def test_ranks_with_different_files_end(
    ranks: Any, classes: tuple[str, ...], counts: dict[str, int], message: str
) -> None:
    world = ranks(2)
    given = [(("cat", "dog"), COUNTS), (classes, counts)]
    with pytest.raises(UserError, match=message):
        world.run(lambda rank: check_equal_splits("pets", *given[rank], world))


def test_ranks_with_the_same_files_pass(ranks: Any) -> None:
    world = ranks(2)
    world.run(lambda _: check_equal_splits("pets", ("cat", "dog"), COUNTS, world))
