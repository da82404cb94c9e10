"""A configuration for another machine has names in place of paths."""

import dataclasses

import pytest
import yaml

import tfdl
from tfdl.config import DATASETS, DatasetConfig, TrainConfig, compose
from tfdl.config.mapping import to_mapping
from tfdl.interop.without_paths import base_name, data_set_name, without_paths


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("digits", "digits"),
        ("emnist/balanced:3.1.0", "emnist/balanced:3.1.0"),
        ("/home/me/photos", "./photos"),
        ("/home/me/digits/", "./digits"),
        ("~/photos", "./photos"),
        ("work/photos", "./photos"),
        ("reviews.csv", "./reviews.csv"),
        ("../me/reviews.csv", "./reviews.csv"),
        ("/home/me/a.en,/home/me/a.de", "./a.en,./a.de"),
    ],
)
def test_data_sets(name, expected):
    assert data_set_name(name) == expected
    assert data_set_name(expected) == expected


def test_a_file_with_a_comma_in_its_name(tmp_path):
    (tmp_path / "one,two.csv").touch()
    assert data_set_name(str(tmp_path / "one,two.csv")) == "./one,two.csv"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/home/me/runs/base", "base"),
        ("runs/base/", "base"),
        ("/home/me/runs/base/checkpoints/best", "base/checkpoints/best"),
        ("~/runs/base", "base"),
    ],
)
def test_bases(path, expected):
    assert base_name(path) == expected


def test_a_base_in_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "base").mkdir()
    monkeypatch.chdir(tmp_path / "base")
    assert base_name(".") == "base"


def test_a_configuration():
    config = compose(
        {
            "task": "language-modeling",
            "model": "transformer",
            "dataset": {"name": "/home/me/texts.txt", "data_dir": "/home/me/data"},
            "tokenizer": {"name": "gpt2", "folder": "models/of/me/gpt2"},
        },
    )
    values = without_paths(config)
    assert values["dataset"]["name"] == "./texts.txt"
    assert values["tokenizer"] == {"name": "gpt2", "folder": "./gpt2"}
    assert "me" not in yaml.safe_dump(values).replace("/", " ").split()
    read = TrainConfig.from_mapping(values)
    changed = {**to_mapping(config), **{name: values[name] for name in ("dataset", "tokenizer")}}
    assert to_mapping(read) == changed


@dataclasses.dataclass(frozen=True)
class OwnConfig(DatasetConfig):
    """A user's data set, which has the paths of more files."""

    name: str = "of_a_test_without_paths"
    masks: str = ""
    others: tuple[str, ...] = ()


def test_paths_in_fields_of_a_user_s_part(monkeypatch):
    monkeypatch.setattr(DATASETS, "_parts", dict(DATASETS._parts))
    tfdl.register_dataset(OwnConfig, "nowhere:load")
    config = TrainConfig(dataset=OwnConfig(masks="/home/me/masks", others=("~/one", "two")))
    dataset = without_paths(config)["dataset"]
    assert (dataset["name"], dataset["masks"], dataset["others"]) == (OwnConfig.name, "./masks", ["./one", "two"])
