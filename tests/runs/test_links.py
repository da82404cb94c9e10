"""Symbolic links in a run that somebody else made: nothing outside of the run is written, removed or read."""

import shutil

import keras
import pytest

from tfdl.errors import UserError
from tfdl.runs import Progress, RunDirectory, save_checkpoint
from tfdl.runs.checkpoint_folder import newest_first, prune
from tfdl.runs.run_lock import RunLock
from tfdl.training.output import claim_output


@pytest.fixture
def run(trained_run, tmp_path):
    """A copy that a test may change."""
    return RunDirectory(shutil.copytree(trained_run.path, tmp_path / "run", symlinks=True))


@pytest.fixture
def outside(tmp_path):
    """A folder of the user, which must stay as it is."""
    folder = tmp_path / "outside"
    (folder / "step-00000001").mkdir(parents=True)
    (folder / "step-00000001" / "thesis.txt").write_text("mine")
    (folder / "notes.txt").write_text("mine")
    yield folder
    assert (folder / "step-00000001" / "thesis.txt").read_text() == "mine"
    assert (folder / "notes.txt").read_text() == "mine"
    assert len(list(folder.rglob("*"))) == 3


def link(path, target):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.symlink_to(target)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("metrics.jsonl", "notes.txt"),
        ("status.json", "notes.txt"),
        ("summary.json", "notes.txt"),
        ("checkpoints", "."),
        ("assets", "."),
        ("tensorboard", "."),
        ("tensorboard/train", "."),
        (".lock", "notes.txt"),
        ("checkpoints/step-00000012", "step-00000001"),
        ("checkpoints/last", "step-00000001"),
        ("checkpoints/best", "step-00000001"),
    ],
)
def test_a_run_with_a_link_is_not_continued(run, outside, name, target):
    link(run.path / name, (outside / target).resolve())
    with pytest.raises(UserError, match=f"has the link '{name}', which leads out of what a run writes"):
        claim_output(run.path, None, resume=True)


def test_a_run_without_such_links_is_continued(run):
    """The control: ``last`` and ``best`` are links."""
    assert (run.checkpoints / "last").is_symlink()
    assert claim_output(run.path, None, resume=True).run.path == run.path


@pytest.mark.parametrize("name", ["metrics.jsonl", "checkpoints", "assets", "tensorboard", "config.yaml"])
def test_an_overwritten_run_removes_the_link_alone(run, outside, name):
    config = run.read_config()
    is_file = (run.path / name).is_file()
    link(run.path / name, outside / "notes.txt" if is_file else outside)
    run.create(config)
    assert not (run.path / name).is_symlink()


def test_prune_removes_the_link_alone(tmp_path, outside):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / "step-00000001").symlink_to(outside / "step-00000001")
    (folder / ".step-00000002.x").symlink_to(outside)
    newest = save_checkpoint(folder, model, [], Progress(step=3))
    prune(folder, keep=1, best_step=0, newest=newest)
    assert sorted(path.name for path in folder.iterdir()) == ["last", "step-00000003"]


def test_a_checkpoint_takes_the_place_of_a_link(tmp_path, outside):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    (tmp_path / "step-00000003").symlink_to(outside)
    saved = save_checkpoint(tmp_path, model, [], Progress(step=3))
    assert saved.is_dir()
    assert not saved.is_symlink()


def test_a_checkpoint_elsewhere_is_not_read(run, outside):
    for name in ("last", "best"):
        link(run.checkpoints / name, outside / "step-00000001")
    assert run.checkpoint("last").parent == run.checkpoints
    with pytest.raises(UserError, match="has no checkpoint 'best'"):
        run.checkpoint("best")
    assert {path.parent for path in newest_first(run.checkpoints)} == {run.checkpoints.resolve()}


def test_the_lock_follows_no_link(run, tmp_path):
    (run.path / ".lock").symlink_to(tmp_path / "made")
    assert "has no locks" in RunLock(run.path).acquire()
    assert not (tmp_path / "made").exists()
