"""Which splits serve as train, validation and test, for every shape that data sets have."""

import pytest

from tfdl.config import DatasetConfig
from tfdl.data.tfds.splits import choose_splits
from tfdl.errors import UserError


def choose(available, **named):
    config = DatasetConfig("some", **{f"{role}_split": split for role, split in named.items()})
    return tuple(split for _, split in choose_splits(config, dict.fromkeys(available.split(), 100)))


@pytest.mark.parametrize(
    ("available", "expected"),
    [
        ("train validation test", ("train", "validation", "test")),
        ("test train validation extra", ("train", "validation", "test")),
        ("train test", ("train[:90%]", "train[90%:]", "test")),
        ("train validation", ("train[:90%]", "train[90%:]", "validation")),
        ("train val", ("train[:90%]", "train[90%:]", "val")),
        ("train dev test", ("train", "dev", "test")),
        ("train valid test", ("train", "valid", "test")),
        ("train", ("train[:80%]", "train[80%:90%]", "train[90%:]")),
        ("train unsupervised", ("train[:80%]", "train[80%:90%]", "train[90%:]")),
    ],
)
def test_splits_without_options(available, expected):
    assert choose(available) == expected


@pytest.mark.parametrize(
    ("available", "named", "expected"),
    [
        ("train validation test", {"test": "validation"}, ("train[:90%]", "train[90%:]", "validation")),
        ("train test", {"validation": "test[:50%]"}, ("train", "test[:50%]", "test")),
        ("train test", {"test": "test[50%:]"}, ("train[:90%]", "train[90%:]", "test[50%:]")),
        ("train validation", {"test": "validation", "validation": "train[:5]"}, ("train", "train[:5]", "validation")),
        ("train validation test", {"train": "train[:10%]"}, ("train[:10%]", "validation", "test")),
        (
            "all",
            {"train": "all[:8]", "validation": "all[8:9]", "test": "all[9:]"},
            ("all[:8]", "all[8:9]", "all[9:]"),
        ),
    ],
)
def test_a_named_split_wins(available, named, expected):
    assert choose(available, **named) == expected


def test_roles_are_named():
    assert [role for role, _ in choose_splits(DatasetConfig("some"), {"train": 1})] == ["train", "validation", "test"]


def test_no_splits_at_all():
    with pytest.raises(UserError, match="data set 'some' has no splits"):
        choose("")


def test_no_training_split():
    with pytest.raises(UserError) as raised:
        choose("all other")
    assert str(raised.value) == (
        "data set 'some' has no split 'train' (it has all, other); choose with --set dataset.train_split=SPLIT"
    )


@pytest.mark.parametrize("available", ["train test", "train", "train validation"])
def test_a_named_training_split_needs_the_other_two(available):
    with pytest.raises(UserError, match=r"dataset\.train_split='train\[:50%\]' leaves open which samples validate and"):
        choose(available, train="train[:50%]")
