"""A configuration or assets that were changed to a larger model than the weights are of."""

import json
import shutil
import time

import pytest
import yaml

from tfdl.errors import UserError
from tfdl.runs import RunDirectory, load_run


@pytest.fixture
def run(trained_run, tmp_path):
    return RunDirectory(shutil.copytree(trained_run.path, tmp_path / "run", symlinks=True))


def change(run, **fields):
    values = yaml.safe_load(run.config_path.read_text())
    values["model"] |= fields
    run.config_path.write_text(yaml.safe_dump(values))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"units": 10**6}, r"describes a model of [\d,]+ values, but .* has [\d,]+: they do not belong together"),
        ({"units": 10**12}, r"model.units=1000000000000, expected at most 16777216, since .* copy the run again"),
        ({"filters": [2**13, 2**13, 2**13]}, r"describes a model of [\d,]+ values"),
        ({"filters": [1] * 10_000}, r"model.layers of filters=10000, expected at most 1\d\d"),
        ({"kernel_size": 2**20}, r"describes a model of|is too small|expected"),
        ({"name": "transformer", "num_layers": 10**9}, "expected"),
    ],
)
def test_it_is_refused_before_memory_is_taken(run, fields, message):
    begin = time.monotonic()
    change(run, **fields)
    with pytest.raises(UserError, match=message):
        load_run(run)
    assert time.monotonic() - begin < 10


def test_assets_of_larger_images(run):
    path = run.assets / "image_classification.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "image_shape": [16_384, 16_384, 1]}))
    with pytest.raises(UserError, match="describes a model of"):
        load_run(run)


def test_the_run_as_it_is_can_be_loaded(run):
    """The control."""
    assert load_run(run).model.count_params() > 0
