"""The directory that a run writes, and reading it again."""

import json
import shutil

import numpy as np
import pytest

from tfdl.errors import RunError, UserError
from tfdl.runs import RunDirectory, load_run, weights_sha256


@pytest.fixture
def copied_run(trained_run, tmp_path):
    """A copy of the finished run that a test may change."""
    return RunDirectory(shutil.copytree(trained_run.path, tmp_path / "copy", symlinks=True))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_files_of_a_run(trained_run):
    assert names(trained_run.path) == [
        "assets",
        "checkpoints",
        "config.yaml",
        "metrics.csv",
        "metrics.jsonl",
        "status.json",
        "summary.json",
        "tensorboard",
    ]
    assert names(trained_run.checkpoints) == ["best", "last", "step-00000012", "step-00000024"]
    events, *folders = names(trained_run.tensorboard)
    assert events.startswith("events.out.tfevents.")
    assert folders == ["train", "validation"]


def test_the_summary_has_the_agreed_keys(trained_run):
    summary = trained_run.read_summary()
    assert list(summary) == [
        "model", "task", "dataset", "parameters", "epochs", "steps", "world_size", "batch_size", "global_batch_size",
        "examples_per_second", "wall_seconds", "validation", "test", "weights_sha256", "tfdl_version",
    ]  # fmt: skip
    assert summary["epochs"] == 2
    assert summary["steps"] == 24
    assert summary["world_size"] == 1
    assert summary["batch_size"] == 128
    assert summary["global_batch_size"] == 128
    for split in ("validation", "test"):
        assert list(summary[split]) == ["loss", "accuracy", "top_5_accuracy", "precision", "recall", "f1", "auc"]
    assert summary["examples_per_second"] > 0
    assert summary["wall_seconds"] > 0


def test_the_status_of_a_finished_run(trained_run):
    assert json.loads(trained_run.status_path.read_text()) == {"code": 0, "reason": "done"}


def test_the_model_is_restored_from_the_directory(trained_run):
    loaded = load_run(trained_run.path)
    assert weights_sha256(loaded.model) == trained_run.read_summary()["weights_sha256"]
    assert loaded.model.count_params() == trained_run.read_summary()["parameters"]
    assert loaded.task.class_names == tuple("0123456789")
    assert loaded.config == trained_run.read_config()


def test_a_run_may_be_moved(trained_run, tmp_path):
    moved = shutil.copytree(trained_run.path, tmp_path / "elsewhere", symlinks=True)
    images = np.zeros((1, 8, 8, 1), "float32")
    for checkpoint in ("last", "best", "step-00000024"):
        load_run(moved, checkpoint).model(images)


def test_a_damaged_run_is_not_loaded(copied_run):
    file = copied_run.checkpoint("last") / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 0x80
    file.write_bytes(content)
    with pytest.raises(RunError, match=r"is damaged: model\.safetensors differs from its manifest"):
        load_run(copied_run)


def test_a_run_without_its_assets(copied_run):
    shutil.rmtree(copied_run.path / "assets")
    with pytest.raises(UserError, match=r"cannot read '.*copy/assets/image_classification\.json' .*; copy the run"):
        load_run(copied_run.path)


def test_a_run_that_has_not_finished(copied_run):
    copied_run.summary_path.unlink()
    with pytest.raises(UserError, match=r"has no summary\.json: it has not finished; continue it with --resume"):
        copied_run.read_summary()


def test_a_run_without_checkpoints(copied_run):
    shutil.rmtree(copied_run.checkpoints)
    assert copied_run.newest_checkpoint() is None
    with pytest.raises(UserError, match="has no checkpoint 'last'; it has none yet"):
        copied_run.checkpoint()


def test_links_lost_in_copying_are_not_needed(copied_run):
    newest = copied_run.checkpoint().resolve().name
    for link in ("last", "best"):
        (copied_run.checkpoints / link).unlink()
    assert copied_run.checkpoint().name == newest


def test_runs_of_one_name_get_separate_directories(tmp_path):
    runs = [RunDirectory(tmp_path / "runs" / "cnn").claim() for _ in range(3)]
    assert [run.path.name for run in runs] == ["cnn", "cnn-2", "cnn-3"]


def test_an_incomplete_configuration_is_an_error(copied_run):
    for text, message in (("", "is empty, expected a configuration"), ("epochs: 3", "incomplete: missing model, task")):
        copied_run.config_path.write_text(text)
        with pytest.raises(UserError, match=message):
            copied_run.read_config()


def test_overwriting_removes_a_link_and_keeps_its_target(copied_run, tmp_path):
    config = copied_run.read_config()
    shutil.move(copied_run.tensorboard, tmp_path / "scratch")
    copied_run.tensorboard.symlink_to(tmp_path / "scratch")
    copied_run.create(config)
    assert not copied_run.tensorboard.is_symlink()
    assert any((tmp_path / "scratch").iterdir())


@pytest.mark.parametrize("name", ["../assets", "/tmp", "..", ""])
def test_a_checkpoint_is_a_name_in_the_run(trained_run, name):
    with pytest.raises(UserError, match="has no checkpoint"):
        trained_run.checkpoint(name)


def test_metrics_hold_a_line_for_each_report(trained_run):
    text = trained_run.metrics_path.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(line["kind"], line["step"], line["epoch"]) for line in lines] == [
        ("steps", 5, 0),
        ("steps", 10, 0),
        ("steps", 12, 0),
        ("epoch", 12, 1),
        ("steps", 17, 1),
        ("steps", 22, 1),
        ("steps", 24, 1),
        ("epoch", 24, 2),
    ]
    assert lines[-1]["validation"] == trained_run.read_summary()["validation"]
    assert set(lines[0]["train"]) == {"loss", "accuracy"}
