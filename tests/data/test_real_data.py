"""Public data sets from their original files, with no network: prepared by the command, then read and trained on."""

import os

import pytest

# Nobody listens at the discard port, and names of hosts are asked of the proxy: whoever wants a network fails.
_NO_NETWORK = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), "http://127.0.0.1:9")


def test_tiny_shakespeare(real_data, tfdl_command, tmp_path):
    from tfdl.config import DatasetConfig
    from tfdl.data.opening import open_texts

    folder = real_data("tiny_shakespeare")
    done = tfdl_command(
        "datasets", "prepare", "tiny_shakespeare", "--from", folder, "--data-dir", tmp_path / "data", env=_NO_NETWORK
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "tiny_shakespeare/1.0.0 is prepared in " in done.stdout
    splits = open_texts(DatasetConfig("tiny_shakespeare", str(tmp_path / "data")), ("text",)).splits
    text = "".join(row["text"] for split in ("train", "validation", "test") for row in splits[split])
    assert text == (folder / "input.txt").read_text()
    for split, cut in (("train", 0.9), ("validation", 0.05), ("test", 0.05)):
        assert sum(len(row["text"]) for row in splits[split]) == pytest.approx(cut * len(text), abs=2)


@pytest.mark.slow
def test_fashion_mnist(real_data, tfdl_command, tmp_path):
    import numpy as np

    from tfdl.config import DatasetConfig
    from tfdl.data import open_images
    from tfdl.runs import RunDirectory

    folder = real_data("fashion_mnist")
    place = {"TFDS_DATA_DIR": str(tmp_path / "data"), **_NO_NETWORK}
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
    import gzip

    with gzip.open(folder / "t10k-images-idx3-ubyte.gz") as file:
        originals = np.frombuffer(file.read(), np.uint8, offset=16).reshape(10_000, 28 * 28)
    known = {image.tobytes() for image in originals}
    images = found.sources["test"].read(np.arange(100))["image"].numpy()
    assert all(image.tobytes() in known for image in images)


def test_a_damaged_original(real_data, tfdl_command, tmp_path):
    original = (real_data("tiny_shakespeare") / "input.txt").read_bytes()
    (tmp_path / "input.txt").write_bytes(original.replace(b"First Citizen", b"First Denizen"))
    done = tfdl_command(
        "datasets", "prepare", "tiny_shakespeare", "--from", tmp_path, "--data-dir", tmp_path / "data", env=_NO_NETWORK
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert f"{tmp_path}{os.sep}input.txt is not the file that data set 'tiny_shakespeare' is made from" in done.stderr
