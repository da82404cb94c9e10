"""A run's data is checked against the run's classes, whatever has changed on disk since; for images and texts."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfdl.config import TrainConfig
from tfdl.data.pipeline import evaluation_batches
from tfdl.errors import UserError
from tfdl.tasks.image_classification import ImageClassification
from tfdl.tasks.text_classification import TextClassification

CLASSES = ("2", "9", "10")


@pytest.fixture(params=[ImageClassification, TextClassification])
def task_class(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def folder(tmp_path: Path, task_class: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set of class folders. The content of a sample names its class."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "prepared"))
    for name in CLASSES:
        add_class(tmp_path / "data", task_class, name)
    return tmp_path / "data"


def add_class(folder: Path, task_class: Any, name: str) -> None:
    (folder / name).mkdir(parents=True)
    for number in range(20):
        if task_class is ImageClassification:
            pixels = np.full((4, 4, 3), int(name), np.uint8)
            pixels[0, 0] = number
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
        else:
            (folder / name / f"{number}.txt").write_text(f"{name} {number}")


@pytest.fixture
def opened(folder: Path, task_class: Any) -> Callable[..., Any]:
    """Opens the data as a new run does, or as the run that saved ``assets``."""
    task = "image-classification" if task_class is ImageClassification else "text-classification"
    settings = {} if task_class is ImageClassification else {"tokenizer": "word"}

    def make(assets: Path | None = None) -> Any:
        config = TrainConfig(task=task, dataset=str(folder), **settings)
        return task_class.open(config, assets)

    return make


@pytest.fixture
def assets(opened: Callable[..., Any], tmp_path: Path) -> Path:
    """What the run saved."""
    path = tmp_path / "assets"
    path.mkdir()
    task, _ = opened()
    assert task.class_names == CLASSES
    task.save(path)
    return path


def classes_by_sample(task: Any, sources: Any) -> dict[str, str]:
    """What a sample shows -> the class that it is given."""
    classes = {}
    for batch in evaluation_batches(sources["train"], batch_size=100).as_numpy_iterator():
        for number, label in enumerate(batch["label"]):
            if isinstance(task, ImageClassification):
                content = str(batch["image"][number, 1, 1, 0])
            else:
                content = "".join(task.tokenizer.decode(batch["text"][number : number + 1])).split()[0]
            classes[content] = task.class_names[label]
    return classes


def test_the_order_of_the_run_counts(opened: Callable[..., Any], assets: Path) -> None:
    """An older version sorted class folders alphabetically, and its models have their outputs in that order."""
    (asset,) = assets.glob("*_classification.json")
    values = json.loads(asset.read_text())
    values["class_names"] = ["10", "2", "9"]
    asset.write_text(json.dumps(values))
    for run in (assets, None):
        task, sources = opened(run)
        assert task.class_names == (("10", "2", "9") if run else CLASSES)
        assert classes_by_sample(task, sources) == {name: name for name in CLASSES}


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("renamed", "missing now: 9; new: 11"),
        ("removed", "missing now: 9"),
        ("added", "new: 11"),
    ],
)
def test_other_classes_are_refused(
    folder: Path, task_class: Any, opened: Callable[..., Any], assets: Path, change: str, difference: str
) -> None:
    if change in ("renamed", "removed"):
        shutil.rmtree(folder / "9")
    if change in ("renamed", "added"):
        add_class(folder, task_class, "11")
    with pytest.raises(UserError, match=rf"are not those that the run was trained for \({difference}\); give it the"):
        opened(assets)


def test_a_class_of_the_same_name_in_another_place_is_the_same(
    folder: Path, opened: Callable[..., Any], assets: Path
) -> None:
    (folder / "train").mkdir()
    for name in CLASSES:
        (folder / name).rename(folder / "train" / name)
    task, sources = opened(assets)
    assert classes_by_sample(task, sources) == {name: name for name in CLASSES}


@pytest.mark.parametrize("task_class", [ImageClassification], indirect=True)
def test_images_of_another_shape_are_refused(folder: Path, opened: Callable[..., Any], assets: Path) -> None:
    for path in folder.rglob("*.png"):
        Image.open(path).convert("L").save(path)
    with pytest.raises(UserError, match=r"have the shape \(4, 4, 1\) .*, expected \(4, 4, 3\), which the run was"):
        opened(assets)
