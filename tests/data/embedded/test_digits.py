"""The digits are scikit-learn's, each in one split."""

from collections import Counter

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tfdl.config import DatasetConfig
from tfdl.data import open_images


def samples(source):
    batch = source.read(np.arange(source.num_examples))
    images = np.asarray(batch["image"])
    labels = np.asarray(batch["label"])
    return [(image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)]


def test_every_image_of_sklearn_is_in_one_split(digits):
    whole = load_digits()
    grey = np.rint(whole.images * 255 / 16).astype(np.uint8)
    expected = Counter((image.tobytes(), int(label)) for image, label in zip(grey, whole.target, strict=True))
    assert sum((Counter(samples(source)) for source in digits.sources.values()), Counter()) == expected


def test_sizes_and_names(digits):
    assert {name: source.num_examples for name, source in digits.sources.items()} == {
        "train": 1437,
        "validation": 180,
        "test": 180,
    }
    assert digits.image_shape == (8, 8, 1)
    assert digits.class_names == tuple("0123456789")


def test_grey_levels_fill_a_byte(digits):
    images = np.asarray(digits.sources["train"].read([*range(1437)])["image"])
    assert images.dtype == np.uint8
    assert set(np.unique(images)) == {round(level * 255 / 16) for level in range(17)}


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_each_split_has_every_class(digits, split):
    labels = np.asarray(digits.sources[split].read(np.arange(180))["label"])
    assert np.bincount(labels, minlength=10).min() > 5


def test_another_machine_prepares_the_same_digits(digits, tmp_path):
    again = open_images(DatasetConfig("digits", str(tmp_path)))
    for split, source in digits.sources.items():
        assert samples(again.sources[split]) == samples(source)


def test_images_are_resized_once_for_all(data_dir):
    large = open_images(DatasetConfig("digits", str(data_dir), image_size=(24, 16)))
    assert large.image_shape == (24, 16, 1)
    batch = large.sources["test"].read([0, 1, 2])
    assert batch["image"].shape == (3, 24, 16, 1)
    assert batch["image"].dtype == np.uint8
