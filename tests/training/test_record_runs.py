"""Runs on images in records: those of the same images in folders, exactly resumable, in little memory."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import tfdl
from tests.data.records.making import FORMATS, png, random_images, write, write_parquet

ROWS = [{"image": image, "label": ("cat", "dog")[number % 2]} for number, image in enumerate(random_images(300))]
SMALL = {
    "task": "image-classification",
    "dataset.memory_limit_mb": 0,
    "dataset.augmentation": ["flip"],
    "batch_size": 32,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The same images in every format, and in class folders, whose images are in the order of their names."""
    root = tmp_path_factory.mktemp("files")
    rows = sorted(enumerate(ROWS), key=lambda item: (item[1]["label"], item[0]))
    for file_format in FORMATS:
        write(root, "pets", [row for _, row in rows], file_format)
    for number, row in rows:
        path = root / "pets" / row["label"] / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(row["image"])
    return root


@pytest.fixture
def configured(tiny, files):
    def make(name, **fields):
        return tiny({**SMALL, "dataset.name": str(files / name), "dataset.image_size": None}, **fields)

    return make


def digest(run):
    return run.read_summary()["weights_sha256"]


@pytest.fixture(scope="module")
def in_folders(tiny, files, tmp_path_factory):
    config = tiny({**SMALL, "dataset.name": str(files / "pets"), "dataset.image_size": None})
    return tfdl.train(config, tmp_path_factory.mktemp("run") / "folders")


@pytest.mark.parametrize("file_format", FORMATS)
def test_records_train_the_model_of_class_folders(configured, in_folders, tmp_path, file_format):
    run = tfdl.train(configured(f"pets.{file_format}"), tmp_path / "run")
    assert digest(run) == digest(in_folders)
    assert run.read_summary()["test"] == in_folders.read_summary()["test"]


@pytest.mark.parametrize("stop", [3, 8])  # within the first epoch, at its end
def test_a_run_on_records_continues_within_an_epoch(configured, in_folders, tmp_path, stop):
    part = tfdl.train(configured("pets.tfrecord", steps=stop), tmp_path / "run")
    assert part.read_summary()["steps"] == stop
    assert digest(tfdl.train(configured("pets.tfrecord"), part.path, resume=True)) == digest(in_folders)


_PROGRAM = """
import json, sys
import tfdl
from tfdl.cli.quiet import quick_start
quick_start()
path, limit, output = sys.argv[1:]
config = {"dataset": {"name": path, "image_size": [16, 16] if int(limit) == 0 else None, "memory_limit_mb": int(limit),
          "augmentation": []}, "model": {"name": "cnn", "filters": [4], "units": 8}, "batch_size": 16, "steps": 12,
          "epochs": None, "xla": "off", "steps_per_execution": 4}
run = tfdl.train(tfdl.config.compose(config), output)
with open("/proc/self/status") as status:
    peak = next(line for line in status if line.startswith("VmHWM"))
print(json.dumps({"peak_mb": int(peak.split()[1]) / 1024}))
"""


def peak_mb(path, limit, output):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", _PROGRAM, str(path), str(limit), str(output)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return json.loads(done.stdout.splitlines()[-1])["peak_mb"]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_data(tmp_path):
    """200 MB of images take about the memory of 10 MB; the control holds them in memory."""
    generator = np.random.default_rng(0)
    few = [{"image": png(generator.integers(0, 256, (180, 190, 3), np.uint8)), "label": n % 2} for n in range(100)]
    # All images differ: a PNG may have anything after its end.
    many = [{"image": row["image"] + number.to_bytes(4), "label": row["label"]} for number in range(20) for row in few]
    assert sum(len(row["image"]) for row in many) > 200e6
    # Arrow unpacks a page at a time, and writes pages of so many rows.
    small, large = (
        write_parquet(tmp_path / f"{name}.parquet", rows, write_batch_size=16)
        for name, rows in (("small", few), ("large", many))
    )
    del many
    peak = peak_mb(small, 0, tmp_path / "small-run")
    assert peak_mb(large, 0, tmp_path / "large-run") < peak + 200
    assert peak_mb(large, 1024, tmp_path / "control") > peak + 400
