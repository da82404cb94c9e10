"""Folders and files whose names are not UTF-8, from the command line to the run directory."""

import os

import numpy as np
import pytest
from PIL import Image


def test_a_data_set_of_such_names_trains(tfdl_command, tmp_path):
    folder = tmp_path / "cwd" / os.fsdecode(b"ph\xe9")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    random = np.random.default_rng(0)
    for number in range(40):
        path = folder / ("dog", os.fsdecode(b"caf\xe9"))[number % 2] / os.fsdecode(b"\xef%d.png" % number)
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).save(path)
    (folder / "dog" / os.fsdecode(b"\xe9.png")).write_bytes(b"text")
    arguments = ["train", "--dataset", os.fsdecode(b"./ph\xe9"), "--epochs", "1", "--batch-size", "16"]
    env = {"PYTHONIOENCODING": "utf-8", "TFDS_DATA_DIR": str(tmp_path / "prepared")}
    bad = tfdl_command(*arguments, env=env)
    assert bad.returncode == 2
    assert r"1 bad row: ph\xe9/dog/\xe9.png: not an image" in bad.stderr
    done = tfdl_command(*arguments, "--skip-bad-rows", env=env)
    assert done.returncode == 0, done.stderr
    assert r"cnn on ./ph\udce9, image-classification" in done.stdout
    (run,) = (tmp_path / "cwd" / "runs").iterdir()
    assert run.name.startswith("cnn-phé-")
    assert os.listdir(run / "tensorboard" / "train")
