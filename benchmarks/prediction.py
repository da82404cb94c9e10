"""How much of the model's own speed predictions keep, and what reading files in the background gains.

    python benchmarks/prediction.py

The weights are random. Four ways to the classes of the same images take turns, and their medians are printed:

- `model`: the compiled model alone, on batches of decoded images that are ready in memory.
- `decoded`: `Trained.predict` on the decoded images, with everything that makes records of them.
- `in turn`: a loop that decodes and resizes the files of a batch, and then calls the compiled model.
- `files`: `Trained.predict` on the files.

So `decoded` should take no longer than `model`, and `files` no longer than `in turn`. Both are shown as fractions of
that speed.
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table
from turns import time_in_turns

import tfdl
from tfdl.inference import Trained
from tfdl.inference.inputs.images import image_loader
from tfdl.inference.predictor import Compute, compiled
from tfdl.runs import RunDirectory
from tfdl.runs.load import LoadedRun
from tfdl.tasks import ImageClassification

# Model, size of its images, size of the files, number of images.
CASES = (("cnn", 24, 24, 8192), ("resnet20", 32, 64, 1024), ("resnet18", 96, 160, 128))
CLASSES = tuple(map(str, range(10)))
WAYS = ("model", "decoded", "in turn", "files")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    table = Table("model", "images", *(f"{way}, images/s" for way in WAYS), "decoded / model", "files / in turn")
    for name, size, file_size, count in CASES:
        with tempfile.TemporaryDirectory() as folder:
            runs = ways(name, size, file_size, count, Path(folder))
            for run in runs.values():
                run(1)
            seconds = time_in_turns(runs, dict.fromkeys(WAYS, 1), rounds, lambda: None)
        speeds = {way: count / statistics.median(seconds[way]) for way in WAYS}
        decoded = _ratio(seconds["model"], seconds["decoded"])
        files = _ratio(seconds["in turn"], seconds["files"])
        table.add_row(name, str(count), *(f"{speeds[way]:,.0f}" for way in WAYS), f"{decoded:.3f}", f"{files:.3f}")
    Console().print(table)


def _ratio(first: Sequence[float], second: Sequence[float]) -> float:
    """The median over the rounds, in which both ran one after the other."""
    return statistics.median(a / b for a, b in zip(first, second, strict=True))


def ways(name: str, size: int, file_size: int, count: int, folder: Path) -> dict[str, Callable[[int], object]]:
    """The four ways.

    Args:
        name: of the model.
        size: of the images that the model takes.
        file_size: of the images in files.
        count: number of images.
        folder: for the files.
    """
    task = ImageClassification((size, size, 3), CLASSES, resized=True)
    model = tfdl.build_model(name, **task.model_arguments)
    trained = Trained(LoadedRun(RunDirectory(folder), tfdl.TrainConfig(model=name), task, model))
    prediction = task.prediction()
    compute = compiled(model, prediction)
    paths = _write_images(folder, file_size, count)
    loop = partial(_in_turn, task, compute, paths)
    images = np.stack([array for start in range(0, count, 64) for array in _decoded(task, paths[start : start + 64])])
    batches = [{"image": images[start : start + 64]} for start in range(0, count, 64)]
    return {
        "model": lambda _: [compute(batch)["class_id"].numpy() for batch in batches],
        "decoded": lambda _: trained.predict(images),
        "in turn": lambda _: loop(),
        "files": lambda _: trained.predict(paths),
    }


def _in_turn(task: ImageClassification, compute: Compute, paths: Sequence[Path]) -> None:
    for start in range(0, len(paths), 64):
        batch = np.stack(_decoded(task, paths[start : start + 64]))
        compute({"image": batch})["class_id"].numpy()


def _decoded(task: ImageClassification, paths: Sequence[Path]) -> list[np.ndarray]:
    """The images of files, of the size that the model takes."""
    load = image_loader(task.image_rules, 3)
    prediction = task.prediction()
    return [prediction.prepare(load({"image": path}))["image"] for path in paths]


def _write_images(folder: Path, size: int, count: int) -> list[Path]:
    """JPEG files of coloured patches."""
    generator = np.random.default_rng(0)
    paths = []
    for number in range(count):
        patches = generator.integers(0, 256, (8, 8, 3), np.uint8)
        path = folder / f"{number:05}.jpg"
        Image.fromarray(patches).resize((size, size), Image.Resampling.BICUBIC).save(path, quality=90)
        paths.append(path)
    return paths


if __name__ == "__main__":
    main()
