"""Presets: preset < YAML < --set < option; a preset's name alone also serves as the model's."""

import pytest

from tfdl.config import MODELS, PRESETS, ModelConfig, ResNetConfig, TrainConfig, choose_model, compose, to_yaml
from tfdl.config.sources import to_mapping
from tfdl.errors import UserError


@pytest.mark.parametrize(
    "given",
    [
        "resnet20",
        {"name": "resnet20"},
        {"preset": "resnet20"},
        {"name": "resnet", "preset": "resnet20"},
    ],
)
def test_ways_to_name_one(given):
    expected = ResNetConfig(preset="resnet20", **PRESETS["resnet20"].fields)
    assert choose_model(given) == expected
    assert TrainConfig(model=given).model == expected
    assert compose({"model": given}).model == expected


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_makes_its_family_s_configuration(name):
    config = choose_model(name)
    assert type(config) is PRESETS[name].config
    assert config.preset == name
    assert name not in MODELS


def test_fields_win_over_the_preset_s():
    config = compose({"model": {"preset": "resnet20", "momentum": 0.5}}, {"model.dropout": 0.25}).model
    assert (config.preset, config.momentum, config.dropout) == ("resnet20", 0.5, 0.25)


def test_a_new_preset_drops_what_was_set_for_the_old_one():
    resolved = to_mapping(compose({"model": "resnet56"}))
    config = compose(resolved, {"model.preset": "resnet20"}).model
    assert config == choose_model("resnet20")


def test_the_resolved_configuration_reads_back():
    config = compose({"model": "resnet56"}, {"model.dropout": 0.125})
    assert compose(to_mapping(config)) == config
    assert "preset: resnet56" in to_yaml(config)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "resnet21",
            r"unknown model 'resnet21', expected one of cnn, resnet.*`tfdl models` lists\. Did you mean 'resnet",
        ),
        ({"name": "resnet", "preset": "resnet21"}, r"unknown preset 'resnet21', expected one of resnet20, "),
        ({"name": "cnn", "preset": "resnet20"}, r"model\.preset='resnet20' belongs to 'resnet', but model\.name='cnn'"),
        ({"name": "resnet", "preset": 3}, r"model\.preset=3, expected a text"),
        ({"preset": "resnet20", "block": "square"}, r"model\.block='square', expected one of "),
    ],
)
def test_bad_input(given, message):
    with pytest.raises(UserError, match=message):
        choose_model(given)


def test_a_configuration_is_taken_as_it_is():
    config = ResNetConfig()
    assert choose_model(config) is config
    assert isinstance(config, ModelConfig)
