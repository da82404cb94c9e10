"""A prepared data set whose files name a module: TFDS would import it."""

import json
import sys

import pytest

from tfdl.data.tfds.catalog import find_builder
from tfdl.data.tfds.feature_files import check_feature_files
from tfdl.errors import UserError

IMAGE = {"pythonClassName": "tensorflow_datasets.core.features.image_feature.Image", "image": {}}


def features(**inner):
    top = "tensorflow_datasets.core.features.features_dict.FeaturesDict"
    return {"pythonClassName": top, "featuresDict": {"features": inner}}


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """``prepared(content, *folders)`` writes features.json; the module ``hostile_module`` writes a file."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "hostile_module.py").write_text(f"open({str(tmp_path / 'hacked')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path / "modules")

    def write(content, *folders):
        folder = tmp_path.joinpath("data", "evil", *folders)
        folder.mkdir(parents=True)
        info = {"name": "evil", "version": "1.0.0", "fileFormat": "tfrecord", "moduleName": "hostile_module"}
        (folder / "dataset_info.json").write_text(json.dumps(info))
        (folder / "features.json").write_text(content if isinstance(content, str) else json.dumps(content))
        return tmp_path / "data"

    yield write
    assert not (tmp_path / "hacked").exists()
    assert "hostile_module" not in sys.modules


@pytest.mark.parametrize("folders", [("1.0.0",), ("small", "1.0.0")])
@pytest.mark.parametrize(
    "content",
    [
        {"pythonClassName": "hostile_module.Thing"},
        features(image=IMAGE, label={"pythonClassName": "hostile_module.Thing"}),
        features(image=[{"x": {"pythonClassName": "hostile_module.a.b.Thing"}}]),
        {"pythonClassName": "tensorflow_datasets.core.featureshostile.Thing"},
        {"pythonClassName": 5},
    ],
)
def test_it_is_refused(prepared, content, folders):
    root = prepared(content, *folders)
    with pytest.raises(UserError, match=r"features.json' names the class .*, whose module would be imported"):
        find_builder("evil", root)


@pytest.mark.parametrize("content", ["[" * 100_000, "{", "[1]"])
def test_a_file_that_is_none(prepared, content):
    with pytest.raises(UserError, match="prepare the data set again"):
        find_builder("evil", prepared(content, "1.0.0"))


def test_classes_of_tfds_and_of_imported_modules_are_known(prepared):
    """The control."""
    root = prepared(features(image=IMAGE, own={"pythonClassName": f"{__name__}.Own"}), "1.0.0")
    check_feature_files(root / "evil")
