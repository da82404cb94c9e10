"""A checkpoint in shards: the same variables as in one, divided evenly, and never read when one is missing."""

import json

import numpy as np
import pytest

from tests.runs.test_checkpoint import PROGRESS, build, state
from tfdl.errors import RunError, UserError
from tfdl.runs import load_checkpoint
from tfdl.runs.checkpoint import begin_sharded, finish_sharded, save_checkpoint, verify, write_files
from tfdl.runs.checkpoint_content import CheckpointContent
from tfdl.runs.checkpoint_folder import prune
from tfdl.runs.checkpoint_shards import Shard, keys_of_shard
from tfdl.runs.stored_tensors import open_tensors, shard_name
from tfdl.runs.variables import shapes_of_variables


def save_in_shards(folder, model, optimizer, count):
    """As the ranks do it, in any order."""
    content = CheckpointContent.of(model, optimizer, PROGRESS, callbacks={"mine": {"seen": np.arange(3)}})
    unfinished = begin_sharded(folder, PROGRESS.step)
    manifest = {}
    for index in reversed(range(count)):
        manifest |= write_files(unfinished, content.part(Shard(index, count)).copied())
    return finish_sharded(unfinished, PROGRESS.step, manifest)


@pytest.fixture
def checkpoint(tmp_path):
    return save_in_shards(tmp_path, *build(), 3)


def test_everything_is_restored_bit_for_bit(tmp_path):
    model, optimizer = build()
    folder = save_in_shards(tmp_path, model, optimizer, 3)
    assert sorted(path.name for path in folder.iterdir()) == [
        "callbacks.json",
        "callbacks.safetensors",
        "manifest.json",
        *(f"model-{number:05d}-of-00003.safetensors" for number in (1, 2, 3)),
        *(f"optimizer-{number:05d}-of-00003.safetensors" for number in (1, 2, 3)),
        "progress.json",
        "random.safetensors",
    ]
    assert (tmp_path / "last").resolve() == folder
    other = build(seed=1)
    assert load_checkpoint(folder, *other) == PROGRESS
    assert state(*other) == state(model, optimizer)


def test_names_and_order_are_those_of_one_file(tmp_path, checkpoint):
    whole = save_checkpoint(tmp_path / "whole", *build(), PROGRESS)
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert list(shapes_of_variables(checkpoint / name).items()) == list(shapes_of_variables(whole / name).items())


def test_no_more_shards_than_variables_are_needed(tmp_path):
    """Some shards are empty then."""
    model, optimizer = build()
    folder = save_in_shards(tmp_path, model, optimizer, 40)
    other = build(seed=1)
    load_checkpoint(folder, *other)
    assert state(*other) == state(model, optimizer)


def test_shards_are_even_and_disjoint():
    random = np.random.default_rng(0)
    sizes = {("model", f"layer_{index}"): int(size) for index, size in enumerate(random.integers(1, 1000, 50))}
    for count in (1, 2, 3, 7):
        parts = [keys_of_shard(sizes, Shard(index, count)) for index in range(count)]
        assert sorted(key for part in parts for key in part) == sorted(sizes)
        loads = [sum(sizes[key] for key in part) for part in parts]
        assert max(loads) <= sum(loads) / count + max(sizes.values())
        assert max(loads) - min(loads) <= max(sizes.values())


@pytest.mark.parametrize("index", range(3))
@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors"])
def test_a_missing_shard_is_found(checkpoint, name, index):
    """Also if nothing but the manifest could tell, or if the manifest does not name it either."""
    missing = shard_name(name, index, 3)
    (checkpoint / missing).unlink()
    with pytest.raises(RunError, match=f"is incomplete .*{missing}"):
        verify(checkpoint)
    with pytest.raises(RunError, match="cannot be read"), open_tensors(checkpoint / name):
        pass
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    del manifest["sha256"][missing]
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match=f"is incomplete .*{missing}"):
        verify(checkpoint)


def test_a_flipped_bit_is_found(checkpoint):
    path = checkpoint / shard_name("model.safetensors", 1, 3)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(RunError, match=f"is damaged: {path.name} differs from its manifest"):
        verify(checkpoint)


def test_a_manifest_of_very_many_shards_is_refused_at_once(checkpoint):
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    for index in range(3):
        del manifest["sha256"][shard_name("model.safetensors", index, 3)]
    manifest["sha256"]["model-00001-of-99999.safetensors"] = "0"
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match="is incomplete"):
        verify(checkpoint)


def test_another_model_is_an_error(checkpoint):
    model, _ = build(filters=(4, 4))
    with pytest.raises(UserError, match="belongs to another model or optimizer"):
        load_checkpoint(checkpoint, model)


def test_unfinished_shards_are_no_checkpoint(tmp_path):
    """What a killed job leaves behind is not found, and is removed with the next checkpoint."""
    model, optimizer = build()
    unfinished = begin_sharded(tmp_path, 5)
    write_files(unfinished, CheckpointContent.of(model, optimizer, PROGRESS).part(Shard(1, 2)))
    assert list(tmp_path.glob("step-*")) == []
    folder = save_in_shards(tmp_path, model, optimizer, 2)
    prune(tmp_path, 3, 0, folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last", folder.name]
