"""Checkpoints whose manifest is right and whose content is not: anyone can compute a SHA-256."""

import hashlib
import json
import tracemalloc

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from tfdl.errors import RunError, UserError
from tfdl.runs import Progress, load_callbacks, load_carried, load_checkpoint, save_checkpoint
from tfdl.runs.checkpoint import DamagedCheckpointError, verify
from tfdl.runs.variables import read_variables, shapes_of_variables


@pytest.fixture
def model():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="dense")])


@pytest.fixture
def saved(model, tmp_path):
    return save_checkpoint(tmp_path, model, [], Progress(step=7), callbacks={"mine": {"a": np.ones(3)}})


def change(folder, name, content):
    """Writes a file of a checkpoint, and its SHA-256 to the manifest."""
    (folder / name).write_bytes(content)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["sha256"][name] = hashlib.sha256(content).hexdigest()
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("progress", "message"),
    [
        (b'{"step": "7"}', "has step='7', expected a whole number from 0"),
        (b'{"step": -1}', "has step=-1, expected"),
        (b'{"step": true}', "has step=True, expected"),
        (b'{"step": 1e9}', "has step=1000000000.0, expected"),
        (b'{"step": 99999999999999999999}', "has step=99999999999999999999, expected"),
        (b'{"running": {"a": 1}}', "has running={'a': 1}, expected a list of numbers"),
        (b'{"running": ["a"]}', "expected a list of numbers"),
        (b'{"validation": [1]}', "has validation=[1], expected an object"),
        (b'{"validation": {"loss": "x"}}', "has loss='x', expected a number"),
        (b'{"wall_seconds": NaN}', "has wall_seconds=nan, expected a number"),
        (b"[1]", "holds a list, expected a JSON object"),
        (b"[" * 100_000, "is not JSON"),
        (b" " * (16 * 2**20 + 1), "has more than 16,777,216 bytes"),
        (b"\xff", "is not JSON"),
    ],
)
def test_progress_of_other_types(saved, model, progress, message):
    change(saved, "progress.json", progress)
    with pytest.raises(DamagedCheckpointError) as caught:
        load_checkpoint(saved, model)
    assert message in str(caught.value)


def test_values_that_training_writes_are_read(saved, model):
    """The control: a loss may be NaN, and files of older versions lack keys."""
    change(saved, "progress.json", b'{"step": 3, "block": 4, "running": [NaN, 1], "best_value": Infinity, "rank": 5}')
    progress = load_checkpoint(saved, model)
    assert (progress.step, progress.epoch_batch, progress.best_value) == (3, 4, np.inf)
    assert np.isnan(progress.running[0])


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "a/b"])
def test_a_manifest_with_a_path_that_leaves_the_folder(saved, name):
    """A difference would tell whether a file has a known content."""
    path = saved / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["sha256"][name] = "0"
    path.write_text(json.dumps(manifest))
    with pytest.raises(DamagedCheckpointError, match=f"its manifest names '{name}', which is in no checkpoint"):
        verify(saved)


@pytest.mark.parametrize("content", [b"[" * 100_000, b"{}", b'{"sha256": 5}', b'{"sha256": ["a"]}', b"\xff"])
def test_a_manifest_that_is_none(saved, content):
    (saved / "manifest.json").write_bytes(content)
    with pytest.raises(DamagedCheckpointError, match="is incomplete"):
        verify(saved)


def test_weights_of_a_larger_model_are_refused_before_they_are_read(model, tmp_path):
    path = tmp_path / "weights.safetensors"
    shape = (4, 10_000_000)
    save_file({"dense/kernel": np.zeros(shape, np.int8), "dense/bias": np.zeros(3, np.float32)}, path)
    variables = {"dense/kernel": model.weights[0], "dense/bias": model.weights[1]}
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=r"holds dense/kernel of shape \(4, 10000000\), expected \(4, 3\)"):
            read_variables(path, variables)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


@pytest.mark.parametrize("order", ["[" * 100_000, "5", '["a", "a"]', '[["dense/kernel"]]', "{"])
def test_an_order_of_variables_that_is_none(tmp_path, order):
    path = tmp_path / "weights.safetensors"
    save_file({"a": np.zeros(1), "b": np.zeros(2)}, path, {"order": order})
    if order.startswith(("[" * 100, "{")):
        with pytest.raises(RunError, match="cannot be read"):
            shapes_of_variables(path)
    else:
        assert shapes_of_variables(path) == {"a": (1,), "b": (2,)}


@pytest.mark.parametrize("state", [b'{"mine": {"__array__": "9"}}', b'{"mine": {"__array__": [1]}}', b"[" * 100_000])
def test_callbacks_with_arrays_that_are_not_there(saved, state):
    change(saved, "callbacks.json", state)
    with pytest.raises(DamagedCheckpointError):
        load_callbacks(saved)


def test_a_carried_state_that_is_no_safetensors_file(saved):
    change(saved, "carried.safetensors", b"cos\nsystem\n(S'touch hacked'\ntR.")
    with pytest.raises(DamagedCheckpointError, match=r"carried.safetensors cannot be read"):
        load_carried(saved)


@pytest.mark.parametrize("name", ["model.safetensors", "random.safetensors"])
def test_a_pickle_in_the_place_of_weights(saved, model, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    change(saved, name, b"cos\nsystem\n(S'touch hacked'\ntR.")
    with pytest.raises(RunError, match="cannot be read"):
        load_checkpoint(saved, model, [])
    assert not (tmp_path / "hacked").exists()
