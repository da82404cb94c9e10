"""Configuration in layers: YAML, then --set, then options; sections by name or mapping; recipes of data sets."""

import dataclasses

import pytest

from tfdl.config import (
    AdamConfig,
    CNNConfig,
    DatasetConfig,
    SGDConfig,
    TrainConfig,
    assignment,
    compose,
    load_yaml,
    to_mapping,
)
from tfdl.config.dataset import DigitsConfig
from tfdl.config.schedules import CosineScheduleConfig, StepScheduleConfig
from tfdl.errors import UserError


def test_nothing_given_is_the_default_run():
    assert compose() == TrainConfig()
    assert compose().model == CNNConfig()
    assert compose().optimizer == AdamConfig()
    assert compose().task == "image-classification"
    assert (compose().epochs, compose().steps) == (20, None)


def test_later_layers_win(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("batch_size: 1\nseed: 1\nepochs: 1\nmodel: {units: 1}\n", encoding="utf-8")
    settings = dict([assignment("batch_size=2"), assignment("seed=2")])
    config = compose(load_yaml(file), settings, {"batch_size": 3})
    assert (config.batch_size, config.seed, config.epochs, config.model.units) == (3, 2, 1, 1)


def test_dotted_and_nested_keys_meet():
    config = compose({"model": {"units": 5, "dropout": 0.5}}, {"model.units": 7})
    assert config.model == CNNConfig(units=7, dropout=0.5)


@pytest.mark.parametrize("section", ["sgd", {"name": "sgd"}])
def test_a_section_is_given_by_name_or_mapping(section):
    assert compose({"optimizer": section}).optimizer == SGDConfig()
    assert TrainConfig(optimizer=section).optimizer == SGDConfig()


def test_a_new_name_drops_the_fields_of_the_old_one():
    config = compose({"optimizer": {"name": "adam", "learning_rate": 0.5, "beta_1": 0.1}}, {"optimizer": "sgd"})
    assert config.optimizer == SGDConfig()


def test_the_same_name_again_keeps_the_fields():
    config = compose({"optimizer": {"name": "adam", "beta_1": 0.1}}, {"optimizer": "adam"})
    assert config.optimizer == AdamConfig(beta_1=0.1)


def test_a_name_comes_before_its_fields_wherever_it_stands():
    config = compose({"optimizer": "adam"}, {"optimizer": {"momentum": 0.5, "name": "sgd"}})
    assert config.optimizer == SGDConfig(momentum=0.5)


def test_another_data_set_keeps_the_data_folder_alone():
    before = {"dataset": {"name": "digits", "data_dir": "/data", "image_size": [24, 24], "train_split": "train"}}
    assert compose(before, {"dataset": "mnist"}).dataset == DatasetConfig("mnist", data_dir="/data")


def test_digits_have_a_recipe():
    for config in (TrainConfig(), TrainConfig(dataset="digits"), compose({"dataset.data_dir": None})):
        assert config.dataset.image_size == (24, 24)
        assert [augmentation.name for augmentation in config.dataset.augmentation] == ["affine"]


def test_a_recipe_yields_to_what_is_said():
    config = compose({"dataset.image_size": None, "dataset.augmentation": "none"})
    assert config.dataset == DigitsConfig(image_size=None, augmentation=())
    assert compose({"dataset.image_size": [8, 8]}).dataset.augmentation == DigitsConfig().augmentation


def test_other_data_sets_have_none():
    assert TrainConfig(dataset="mnist").dataset == DatasetConfig("mnist")


def test_a_value_cannot_be_used_as_a_section():
    with pytest.raises(UserError, match=r"unknown key 'seed\.x': 'seed' is a single value, not a section"):
        compose({"seed": 3}, {"seed.x": 1})


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("model.units=256", ("model.units", 256)),
        ("dataset.train_split=train[:80%]", ("dataset.train_split", "train[:80%]")),
        ("model.filters=[1, 2]", ("model.filters", [1, 2])),
        ("dataset.image_size=", ("dataset.image_size", None)),
        (" seed =1", ("seed", 1)),
    ],
)
def test_an_assignment_is_read_as_yaml(text, pair):
    assert assignment(text) == pair


@pytest.mark.parametrize("text", ["epochs", "=3", " =3"])
def test_an_assignment_needs_key_and_value(text):
    with pytest.raises(UserError) as raised:
        assignment(text)
    assert str(raised.value) == f"--set {text!r}, expected KEY=VALUE such as model.units=256"


def test_an_assignment_that_is_no_yaml():
    with pytest.raises(UserError, match=r"--set model\.filters is not valid YAML: .* line 1, column"):
        assignment("model.filters=[1, 2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1\n- 2\n", "holds a list, expected a mapping of keys such as `epochs: 10`"),
        ("twenty\n", "holds a str, expected a mapping"),
        ("epochs: [1\n", "is not valid YAML: .*line 2, column 1"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path, text, message):
    file = tmp_path / "bad.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        load_yaml(file)


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_file_is_a_mistake(tmp_path, text):
    (tmp_path / "empty.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="is empty, expected a configuration with keys such as"):
        load_yaml(tmp_path / "empty.yaml")


def test_a_file_of_comments_sets_nothing(tmp_path):
    (tmp_path / "empty.yaml").write_text("# nothing\n", encoding="utf-8")
    assert load_yaml(tmp_path / "empty.yaml") == {}


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match=r"missing\.yaml' \(No such file or directory\); expected a YAML file"):
        load_yaml(tmp_path / "missing.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"binary\.yaml' \(not UTF-8 text\); expected a YAML file"):
        load_yaml(tmp_path / "binary.yaml")


def test_a_configuration_is_frozen_and_replaced():
    config = TrainConfig()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.seed = 1
    assert config.replace(seed=1) == TrainConfig(seed=1)


# Recipes


@pytest.mark.parametrize("model", ["transformer", "rnn"])
def test_a_recipe_fills_what_nobody_says(model):
    found = compose({"model": model})
    said = {"batch_size": 3, "optimizer.learning_rate": 0.5, "xla": "off", "steps": 7}
    assert found.optimizer.schedule == CosineScheduleConfig(final_fraction=0.1)
    assert found.epochs is not None
    changed = compose({"model": model}, said)
    assert (changed.batch_size, changed.optimizer.learning_rate, changed.xla) == (3, 0.5, "off")
    assert (changed.epochs, changed.steps) == (None, 7)
    # A run of so few steps has no warm-up.
    assert changed.optimizer == dataclasses.replace(found.optimizer, learning_rate=0.5, warmup_epochs=0.0)


def test_another_optimizer_has_its_own_defaults():
    assert compose({"model": "transformer", "optimizer": "sgd"}).optimizer == SGDConfig()
    whole = SGDConfig(learning_rate=1.0)
    assert TrainConfig(model="transformer", optimizer=whole).optimizer == whole


def test_what_was_resolved_is_not_filled_in_again():
    config = compose({"model": "transformer"}, {"optimizer": "adam"})
    assert compose(to_mapping(config)) == config
    assert config.optimizer == AdamConfig()


# Schedules, a section within a section


@pytest.mark.parametrize(
    "layers",
    [
        [{"optimizer.schedule": "step"}, {"optimizer.schedule.factor": 0.5}],
        [{"optimizer": {"schedule": {"name": "step", "factor": 0.5}}}],
        [{"optimizer": {"name": "adam", "schedule": "step"}}, {"optimizer.schedule": {"factor": 0.5}}],
        [{"optimizer.schedule": "step", "optimizer.factor": 0.5}],  # as tfdl 0.1 wrote it
    ],
)
def test_a_schedule_and_its_fields(layers):
    assert compose(*layers).optimizer.schedule == StepScheduleConfig(factor=0.5)


def test_a_field_of_the_recipe_s_schedule():
    config = compose({"model": "transformer", "optimizer.schedule.final_fraction": 0.5})
    assert config.optimizer.schedule == CosineScheduleConfig(final_fraction=0.5)
    assert config.optimizer.clip_norm == 1.0


def test_a_new_schedule_drops_the_fields_of_the_old_one():
    config = compose({"optimizer.schedule": {"name": "cosine", "final_fraction": 0.5}}, {"optimizer.schedule": "step"})
    assert config.optimizer.schedule == StepScheduleConfig()


def test_the_optimizer_of_a_run_of_version_0_1():
    former = {"name": "adam", "schedule": "cosine", "final_fraction": 0.1, "milestones": [0.5, 0.75], "factor": 0.1}
    assert compose({"optimizer": former}).optimizer == AdamConfig(schedule=CosineScheduleConfig(0.1))
    with pytest.raises(UserError, match=r"unknown key 'optimizer\.schedule\.factor', expected one of final_fraction"):
        compose({"optimizer": {**former, "factor": 0.2}})
