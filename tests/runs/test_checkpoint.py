"""Checkpoints are restored bit for bit, are complete or absent, and are verified before they are read."""

import contextlib
import dataclasses
import errno
import hashlib
import json
import random
import resource

import keras
import numpy as np
import pytest

import tfdl
from tests.runs.damage import Damage, random_damages
from tfdl.errors import RunError, UserError
from tfdl.runs import Progress, load_checkpoint, save_checkpoint, weights_sha256
from tfdl.runs.checkpoint import DamagedCheckpointError, verify
from tfdl.runs.checkpoint_folder import prune

PROGRESS = Progress(step=7, epoch=1, sample=64, running=[0.1, 3.0], best_step=5, best_value=0.1 + 0.2, wall_seconds=0.3)


def build(seed=0, **fields):
    """A model with dropout and its optimizer after two steps, so no variable has its initial value."""
    keras.utils.set_random_seed(seed)
    fields = {"filters": (4,), "units": 8, "dropout": 0.5, **fields}
    model = tfdl.build_model("cnn", input_shape=(8, 8, 1), num_classes=10, **fields)
    optimizer = tfdl.build_optimizer("adam")
    optimizer.build(model.trainable_variables)
    generator = np.random.default_rng(seed)
    for _ in range(2):
        model(generator.random((4, 8, 8, 1), "float32"), training=True)
        optimizer.apply([generator.normal(size=variable.shape) for variable in model.trainable_variables])
    return model, optimizer


def state(model, optimizer):
    """Bytes and dtypes of all variables in order.

    It has no paths: Keras numbers seed generators over the whole process, so paths differ between models.
    """
    variables = [*model.variables, *optimizer.variables]
    return [(np.asarray(variable).tobytes(), variable.dtype) for variable in variables]


def test_everything_is_restored_bit_for_bit(tmp_path):
    model, optimizer = build()
    folder = save_checkpoint(tmp_path, model, optimizer, PROGRESS)
    other = build(seed=1)
    assert state(*other) != state(model, optimizer)
    assert load_checkpoint(folder, *other) == PROGRESS
    assert state(*other) == state(model, optimizer)
    images = np.random.default_rng(0).random((4, 8, 8, 1), "float32")
    restored_model, _ = other
    for _ in range(2):  # dropout continues with the same random numbers
        np.testing.assert_array_equal(restored_model(images, training=True), model(images, training=True))


def test_every_field_of_the_progress_is_read_again():
    """Each has a value that is not its default, so a field that is not read is found."""
    some = {"int": 3, "float": 0.5, "float | None": 0.25, "list[float]": [1.5], "dict[str, float]": {"a": 2.5}}
    some["dict[str, str]"] = {"b": "c"}
    fields = dataclasses.fields(Progress)
    values = {}
    for field in fields:
        kind = field.type.__name__ if field.type in (int, float) else str(field.type)
        values[field.name] = some[kind]
    progress = Progress(**values)
    defaults = Progress()
    assert all(getattr(progress, field.name) != getattr(defaults, field.name) for field in fields)
    written = json.loads(json.dumps(dataclasses.asdict(progress)))
    assert Progress.from_json(written) == progress


def test_the_keys_of_the_first_checkpoints_are_still_read():
    values = {"step": 7, "epoch": 1, "sample": 64, "block": 32}
    assert Progress.from_json(values) == Progress(step=7, epoch=1, sample=64, epoch_batch=32)


def test_the_folder_has_dropout_s_state_and_every_slot(tmp_path):
    folder = save_checkpoint(tmp_path, *build(), PROGRESS)
    assert sorted(path.name for path in folder.iterdir()) == [
        "manifest.json",
        "model.safetensors",
        "optimizer.safetensors",
        "progress.json",
        "random.safetensors",
    ]
    from safetensors.numpy import load_file

    assert len(load_file(folder / "random.safetensors")) == 1
    paths = load_file(folder / "optimizer.safetensors")
    assert {"iteration", "learning_rate"} <= {path.split("/")[-1] for path in paths}


def test_last_links_to_the_newest(tmp_path):
    model, optimizer = build()
    for step in (5, 12):
        save_checkpoint(tmp_path, model, optimizer, Progress(step=step))
    assert (tmp_path / "last").resolve() == tmp_path / "step-00000012"
    assert (tmp_path / "last").readlink().as_posix() == "step-00000012"  # relative: the run may be moved


def test_weights_can_be_read_without_an_optimizer(tmp_path):
    model, optimizer = build()
    folder = save_checkpoint(tmp_path, model, optimizer, PROGRESS)
    other, _ = build(seed=1)
    load_checkpoint(folder, other)
    assert weights_sha256(other) == weights_sha256(model)


def test_the_manifest_is_sha256(tmp_path):
    folder = save_checkpoint(tmp_path, *build(), PROGRESS)
    manifest = json.loads((folder / "manifest.json").read_text())["sha256"]
    assert len(manifest) == 4
    for name, digest in manifest.items():
        assert digest == hashlib.sha256((folder / name).read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "random.safetensors", "progress.json"])
@pytest.mark.parametrize("index", [0, -1])
def test_one_flipped_bit_is_found(tmp_path, name, index):
    model, optimizer = build()
    folder = save_checkpoint(tmp_path, model, optimizer, PROGRESS)
    content = bytearray((folder / name).read_bytes())
    content[index] ^= 1
    (folder / name).write_bytes(content)
    before = state(model, optimizer)
    with pytest.raises(RunError) as raised:
        load_checkpoint(folder, model, optimizer)
    expected = f"checkpoint {folder} is damaged: {name} differs from its manifest; use another"
    assert str(raised.value).startswith(expected)
    assert state(model, optimizer) == before


@pytest.mark.parametrize("name", ["model.safetensors", "manifest.json", "progress.json"])
def test_a_missing_file_is_found(tmp_path, name):
    folder = save_checkpoint(tmp_path, *build(), PROGRESS)
    (folder / name).unlink()
    with pytest.raises(RunError, match=rf"checkpoint .*step-00000007 is incomplete .*{name}.*; use another one"):
        verify(folder)


def test_an_unreadable_manifest_is_found(tmp_path):
    folder = save_checkpoint(tmp_path, *build(), PROGRESS)
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(RunError, match="is incomplete"):
        verify(folder)


@contextlib.contextmanager
def full_disk(size):
    """Limits files to ``size`` bytes: the kernel then fails writes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_full_disk_leaves_the_last_checkpoint_complete(tmp_path, size):
    model, optimizer = build()
    save_checkpoint(tmp_path, model, optimizer, Progress(step=5))
    before = sorted(tmp_path.rglob("*"))
    with full_disk(size), pytest.raises(Exception, match="File too large"):
        save_checkpoint(tmp_path, model, optimizer, Progress(step=9))
    assert sorted(tmp_path.rglob("*")) == before
    assert load_checkpoint(tmp_path / "last", model, optimizer).step == 5


def test_a_full_disk_raises_an_os_error(tmp_path):
    """The command line recognizes a full disk by the error's number and prints what to do."""
    with full_disk(100), pytest.raises(OSError, match="File too large") as raised:
        save_checkpoint(tmp_path, *build(), PROGRESS)
    assert raised.value.errno == errno.EFBIG


def test_a_checkpoint_of_a_step_is_replaced(tmp_path):
    model, optimizer = build()
    save_checkpoint(tmp_path, model, optimizer, Progress(step=5, sample=1))
    model, optimizer = build(seed=1)
    folder = save_checkpoint(tmp_path, model, optimizer, Progress(step=5, sample=2))
    other = build()
    assert load_checkpoint(folder, *other).sample == 2
    assert state(*other) == state(model, optimizer)


def test_another_model_is_an_error(tmp_path):
    folder = save_checkpoint(tmp_path, *build(), PROGRESS)
    with pytest.raises(UserError) as raised:
        load_checkpoint(folder, *build(filters=(4, 4)))
    message = str(raised.value)
    assert message.startswith(f"{folder / 'model.safetensors'} belongs to another model or optimizer: missing: [")
    assert "batch_normalization_2/beta" in message
    assert message.endswith("; unexpected: nothing")


def test_another_width_is_an_error(tmp_path):
    folder = save_checkpoint(tmp_path, *build(), PROGRESS)
    with pytest.raises(UserError, match=r"holds hidden/kernel of shape \(64, 8\), expected \(64, 9\)"):
        load_checkpoint(folder, *build(units=9))


def test_another_optimizer_is_an_error(tmp_path):
    model, _ = build()
    sgd = tfdl.build_optimizer("sgd")
    sgd.build(model.trainable_variables)
    folder = save_checkpoint(tmp_path, *build(), PROGRESS)
    message = r"optimizer\.safetensors belongs to another model or optimizer: missing: \['SGD"
    with pytest.raises(UserError, match=message):
        load_checkpoint(folder, model, sgd)


@pytest.mark.parametrize(
    ("keep", "best", "kept"),
    [(1, 0, [5]), (2, 0, [4, 5]), (2, 1, [1, 4, 5]), (1, 5, [5]), (9, 2, [1, 2, 3, 4, 5])],
)
def test_the_newest_and_the_best_are_kept(tmp_path, keep, best, kept):
    for step in range(1, 6):
        (tmp_path / f"step-{step:08d}").mkdir()
        (tmp_path / f"step-{step:08d}" / "file").touch()
    prune(tmp_path, keep, best, tmp_path / "step-00000005")
    left = sorted(path.name for path in tmp_path.glob("step-*"))
    assert left == [f"step-{step:08d}" for step in kept]
    assert (tmp_path / "best").is_symlink() == bool(best)
    if best:
        assert (tmp_path / "best").resolve().name == f"step-{best:08d}"


def test_flipped_bits_and_cut_files_are_found(tmp_path):
    """tests/soak/reliability/damage.py does it a thousand times, and resumes runs."""
    model, optimizer = build()
    states = {"carried": {"h": np.ones((2, 3), np.float32)}, "callbacks": {"mine": {"a": np.ones(3)}}}
    folder = save_checkpoint(tmp_path, model, optimizer, PROGRESS, **states)
    verify(folder)
    damages = random_damages(folder, 200, 100, random.Random(0))
    damages.append(Damage(folder / "manifest.json", length=(folder / "manifest.json").stat().st_size - 1))
    assert len({damage.path for damage in damages}) == 8
    missed = []
    for damage in damages:
        with damage.done():
            try:
                verify(folder)
            except DamagedCheckpointError:
                continue
        missed.append(str(damage))
    assert missed == []
    verify(folder)
