"""``tfdl evaluate --beams``: translations that are searched."""

import json

import pytest

import tfdl
from tfdl.cli.main import main
from tfdl.config import compose
from tfdl.errors import UserError

FEW = {
    "task": "translation",
    "dataset.train_split": "train[:200]",
    "dataset.validation_split": "validation[:4]",
    "dataset.test_split": "test[:20]",
    "model.hidden_dim": 32,
    "model.num_heads": 2,
    "model.num_layers": 1,
    "batch_size": 20,
    "steps": 30,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tfdl.train(compose(FEW), tmp_path_factory.mktemp("translation") / "run")


def test_one_beam_is_the_result_of_training(run):
    assert tfdl.evaluate(run, beams=1) == run.read_summary()["test"]


def test_beams_write_other_translations(run, capsys):
    greedy = run.read_summary()["test"]
    searched = tfdl.evaluate(run, beams=4, length_penalty=1.0)
    assert searched["loss"] == greedy["loss"]
    assert searched["chrf"] != greedy["chrf"]
    with pytest.raises(SystemExit):
        main(["evaluate", str(run.path), "--beams", "4", "--length-penalty", "1", "--json"])
    assert json.loads(capsys.readouterr().out) == searched


def test_a_classifier_has_no_beams(trained_run):
    message = "beams=4, but the task image-classification is evaluated without writing texts"
    with pytest.raises(UserError, match=message):
        tfdl.evaluate(trained_run, beams=4)
