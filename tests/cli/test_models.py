"""``tfdl models``: the list, the description of one model, JSON output, and bad input."""

import json
from functools import partial

import pytest

from tests.cli.conftest import Command
from tfdl.config import MODELS, PRESETS


@pytest.fixture
def models(run_here: Command) -> Command:
    """``tfdl models ARGUMENTS``."""
    return partial(run_here, "models")


def test_the_list_names_every_family_and_preset(tfdl_command):
    done = tfdl_command("models")
    assert done.returncode == 0, done.stderr
    for name in (*MODELS, *PRESETS):
        assert any(line.split()[:1] == [name] for line in done.stdout.splitlines()), name


def test_the_list_for_programs(models):
    _, output, _ = models("--json")
    listed = json.loads(output)
    assert listed["families"]["cnn"]["task"] == "image-classification"
    assert listed["presets"]["resnet20"] == {
        "family": "resnet",
        "parameters": 269_722,
        "source": PRESETS["resnet20"].source,
    }


def test_a_page(tfdl_command):
    done = tfdl_command("models", "cnn", "--batch-size", 64)
    assert done.returncode == 0, done.stderr
    assert "316,010 (315,818 trainable)" in done.stdout
    assert "forward and backward  1.26 GFLOP" in done.stdout
    assert any(line.split() == ["logits", "Dense", "(batch,", "10)", "1,290"] for line in done.stdout.splitlines())


def test_a_page_for_programs(models):
    _, output, _ = models("cnn", "--set", "model.units=256", "--set", "num_classes=3", "--json")
    numbers = json.loads(output)
    assert numbers["config"]["units"] == 256
    assert numbers["data"]["num_classes"] == 3
    assert numbers["training_flops"] > numbers["forward_flops"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet21"], "unknown model 'resnet21', expected one of "),
        (["cnn", "--set", "model.unitz=3"], "unknown key 'model.unitz'"),
        (["cnn", "--set", "vocab_size=3"], "with vocab_size, expected only input_shape, num_classes"),
        (["cnn", "--optimizer", "adm"], "unknown optimizer 'adm'"),
        (["cnn", "--precision", "half"], "precision='half', expected one of float32, "),
        (["cnn", "--set", "input_shape=24"], "input_shape=24, expected (height, width, channels) such as (32, 32, 3)"),
        (["resnet50", "--set", "input_shape=[16,16,3]"], "images of 16x16 are too small for 5 halvings"),
        (["rnn", "--set", "vocab_size=many"], "vocab_size='many', expected a whole number of at least 1"),
        (["gpt2", "--set", "model.num_heads=7"], "model.hidden_dim=768, expected a multiple of model.num_heads=7"),
        (
            ["gpt2", "--sequence-length", "2000"],
            "sequence_length=2000, expected at most the model's 1024 learned positions; ask for fewer tokens, or build"
            " it with model.sequence_length=2000",
        ),
        (["resnet20", "--sequence-length", "64"], "sequence_length=64, but resnet20 reads images; leave it out"),
        (["cnn", "--batch-size", "0"], "0 is not in the range x>=1"),
    ],
)
def test_bad_input_is_one_line(models, arguments, message):
    code, output, errors = models(*arguments)
    assert code == 2
    assert message in errors
    assert len(errors.strip().splitlines()) == 1
    assert not output
