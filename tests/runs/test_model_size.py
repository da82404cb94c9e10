"""A configuration or assets that were changed to a larger model than the weights are of."""

import json
import shutil
import time

import pytest
import yaml

import tfdl
from tfdl.errors import RunError, UserError
from tfdl.runs import RunDirectory, load_run
from tfdl.runs.checkpoint_folder import newest_first
from tfdl.runs.model_size import check_resumed_size


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


def test_a_run_that_is_continued_is_checked_as_well(run):
    """Of damaged checkpoints the next older one counts."""
    arguments = {"input_shape": (8, 8, 1), "num_classes": 10}
    newest, *older = newest_first(run.checkpoints)
    assert older
    (newest / "model.safetensors").write_bytes(b"damaged")
    check_resumed_size(run.read_config().model, arguments, run.checkpoints)
    change(run, units=10**6)
    with pytest.raises(UserError, match="describes a model of"):
        check_resumed_size(run.read_config().model, arguments, run.checkpoints)


def test_a_larger_model_is_not_continued(run):
    change(run, units=10**6)
    with pytest.raises(UserError, match="describes a model of"):
        tfdl.train(output=run.path, resume=True)


def test_damaged_weights_are_called_so(run):
    (run.checkpoint() / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(RunError, match=r"^checkpoint .* is damaged: model.safetensors differs from its manifest"):
        load_run(run)
