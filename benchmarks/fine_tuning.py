"""Fine-tuning against training from scratch, on small folders of images.

    python benchmarks/fine_tuning.py

The base is a CNN that has learned the digits 0 to 4 from scikit-learn's handwritten digits. The new task is the digits
5 to 9, of which a folder has a few training images each. Three ways to learn them: from random weights, from the base's
weights, and from the base's weights with all layers frozen but the new head. Printed is the accuracy on the same 300
test images, as mean and range over seeds.
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits

import tfdl
from tfdl.config import compose

IMAGES_OF_CLASS = (5, 10, 20, 50)
WAYS = {
    "from scratch": {},
    "fine-tuned": {"initial_checkpoint": "base"},
    "head alone": {"initial_checkpoint": "base", "freeze": ["*", "!logits"]},
}
COMMON = {"dataset.image_size": [24, 24], "batch_size": 16, "steps": 150, "epochs": None, "optimizer": "adam"}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(parser.parse_args().seeds)
    table = Table("training images of a class", *WAYS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder / "first", range(5), 100)
        tfdl.train(compose(COMMON, {"dataset.name": str(folder / "first"), "steps": 400}), folder / "base")
        for count in IMAGES_OF_CLASS:
            write_images(folder / f"second-{count}", range(5, 10), count)
            cells = [accuracies(folder, count, changes, seeds) for changes in WAYS.values()]
            table.add_row(str(count), *(_shown(values) for values in cells))
    Console().print(table)


def accuracies(folder: Path, count: int, changes: dict[str, object], seeds: Sequence[int]) -> list[float]:
    """The test accuracy of each seed.

    Args:
        folder: has the base and the images.
        count: training images of a class.
        changes: what distinguishes this way.
        seeds: of the runs.
    """
    found = []
    for seed in seeds:
        settings = {"dataset.name": str(folder / f"second-{count}"), "seed": seed, **changes}
        if "initial_checkpoint" in changes:
            settings["initial_checkpoint"] = str(folder / "base")
        with tempfile.TemporaryDirectory(dir=folder) as output:
            run = tfdl.train(compose(COMMON, settings), Path(output) / "run")
            found.append(run.read_summary()["test"]["accuracy"])
    return found


def write_images(folder: Path, digits: Sequence[int], count: int) -> None:
    """Writes images of 8x8 pixels: ``count`` of each digit to train, 20 to validate, and up to 60 to test.

    Args:
        folder: gets a folder for each split and digit.
        digits: the classes.
        count: training images of a class.
    """
    data = load_digits()
    for digit in digits:
        images = data.images[data.target == digit]
        ends = np.cumsum([0, 60, 20, count])
        for split, (start, end) in zip(("test", "validation", "train"), pairwise(ends), strict=True):
            target = folder / split / str(digit)
            target.mkdir(parents=True)
            for number, image in enumerate(images[start:end]):
                pixels = (image * 255 / 16).astype(np.uint8)
                Image.fromarray(pixels).save(target / f"{number:03}.png")


def _shown(values: Sequence[float]) -> str:
    return f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    main()
