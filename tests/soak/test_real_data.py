"""Fashion-MNIST from its original files, with no network: prepared by the command, then trained on."""

import gzip

import numpy as np

from tests.data.test_real_data import NO_NETWORK
from tfdl.config import DatasetConfig
from tfdl.data import open_images
from tfdl.runs import RunDirectory


def test_fashion_mnist(real_data, tfdl_command, tmp_path):
    folder = real_data("fashion_mnist")
    place = {"TFDS_DATA_DIR": str(tmp_path / "data"), **NO_NETWORK}
    done = tfdl_command("datasets", "prepare", "fashion_mnist", "--from", folder, env=place)
    assert (done.returncode, done.stderr) == (0, "")
    assert "fashion_mnist/3.0.1 is prepared in " in done.stdout
    assert "train 60,000, test 10,000" in done.stdout

    parts = {"train": "train[:40%]", "validation": "train[40%:41%]", "test": "test[:20%]"}
    splits = [word for name, part in parts.items() for word in ("--set", f"dataset.{name}_split={part}")]
    options = (*splits, "--batch-size", 128, "--steps", 180, "--learning-rate", 0.003, "--schedule", "one_cycle")
    done = tfdl_command("train", "--dataset", "fashion_mnist", *options, "--output", tmp_path / "run", env=place)
    assert done.returncode == 0, done.stderr
    assert "cnn on fashion_mnist" in done.stdout
    test = RunDirectory(tmp_path / "run").read_summary()["test"]
    assert test["accuracy"] > 0.84, test

    found = open_images(DatasetConfig("fashion_mnist", str(tmp_path / "data"), memory_limit_mb=0))
    assert found.class_names[9] == "Ankle boot"
    assert {split: source.num_examples for split, source in found.sources.items()} == {
        "train": 54_000,
        "validation": 6_000,
        "test": 10_000,
    }
    with gzip.open(folder / "t10k-images-idx3-ubyte.gz") as file:
        originals = np.frombuffer(file.read(), np.uint8, offset=16).reshape(10_000, 28 * 28)
    known = {image.tobytes() for image in originals}
    images = found.sources["test"].read(np.arange(100))["image"].numpy()
    assert all(image.tobytes() in known for image in images)
