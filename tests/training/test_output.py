"""Where a run is written, and what is reported if there is nothing to resume."""

import pytest

from tfdl.config import TrainConfig
from tfdl.training.output import claim_output


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("digits", "digits"),
        ("emnist/balanced:3.1.0", "emnist-balanced-3.1.0"),
        ("./photos", "photos"),
        ("../photos/", "photos"),
        ("~/photos", "photos"),
        ("/data/photos", "data-photos"),
        (".", "here"),
    ],
)
def test_runs_are_named_after_the_model_and_the_data_set(tmp_path, monkeypatch, dataset, name):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    output = claim_output(None, TrainConfig(dataset=dataset))
    stem, time = output.run.path.name.split(f"-{name}-")
    assert stem == "cnn"
    assert time.replace("-", "").isdigit()


@pytest.mark.parametrize("folder", ["abcdefghi", "漢字"])
def test_of_a_long_path_the_end_is_in_the_name(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    output = claim_output(None, TrainConfig(dataset=f"/{'/'.join([folder] * 40)}/photos"))
    assert output.run.path.name.startswith("cnn-")
    assert f"{folder}-photos-" in output.run.path.name
    output.run.create(TrainConfig())
    assert output.run.path.is_dir()


def test_nothing_to_resume_is_reported(tmp_path):
    path = tmp_path / "run"
    assert claim_output(path, TrainConfig()).note == ""
    assert claim_output(path, TrainConfig(), resume=True).note == (
        f"--resume: {path} contains no run yet, so a new one begins"
    )
    claim_output(path, TrainConfig()).run.create(TrainConfig())
    assert claim_output(path, None, resume=True).note == (
        f"--resume: {path} has no checkpoint yet, so the run begins at its first step"
    )
