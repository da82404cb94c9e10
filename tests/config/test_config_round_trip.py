"""What ``config.yaml`` says is what the run was."""

import dataclasses

import yaml
from hypothesis import given
from hypothesis import strategies as st

from tfdl.config import AdamConfig, CNNConfig, DatasetConfig, SGDConfig, TrainConfig, to_mapping, to_yaml

counts = st.integers(1, 1 << 40)
fractions = st.floats(0, 1, exclude_max=True)
positives = st.floats(0, exclude_min=True, allow_infinity=False)
texts = st.none() | st.text(min_size=1)
models = st.builds(
    CNNConfig,
    filters=st.lists(counts, min_size=1).map(tuple),
    kernel_size=counts,
    units=counts,
    dropout=fractions,
    l2=st.floats(0, allow_infinity=False),
    batch_normalization=st.booleans(),
    momentum=fractions,
    synchronized=st.booleans(),
)
datasets = st.builds(
    DatasetConfig,
    name=st.sampled_from(["digits", "mnist", "null", "1e3"]) | st.text().filter(str.strip),
    data_dir=texts,
    train_split=texts,
    validation_split=texts,
    test_split=texts,
    image_size=st.none() | st.tuples(counts, counts),
    augmentation=st.sampled_from(["none", "affine", "flip,crop", ("mixup",)]),
    memory_limit_mb=st.integers(0, 1 << 40),
)
optimizers = st.builds(
    AdamConfig,
    learning_rate=positives,
    clip_norm=st.none() | positives,
    beta_1=fractions,
    beta_2=fractions,
    epsilon=st.floats(0, allow_infinity=False),
) | st.builds(SGDConfig, learning_rate=positives, momentum=fractions, nesterov=st.booleans())
lengths = st.fixed_dictionaries({"epochs": counts}) | st.fixed_dictionaries({"steps": counts})


@given(models, datasets, optimizers, lengths, counts, st.integers(0, 2**32 - 1))
def test_yaml_and_back_is_the_same_configuration(model, dataset, optimizer, length, batch_size, seed):
    config = TrainConfig(model=model, dataset=dataset, optimizer=optimizer, batch_size=batch_size, seed=seed, **length)
    assert TrainConfig.from_mapping(yaml.safe_load(to_yaml(config))) == config
    assert TrainConfig.from_mapping(to_mapping(config)) == config


def test_yaml_names_every_field_and_holds_plain_values_only():
    values = yaml.safe_load(to_yaml(TrainConfig()))
    assert list(values) == [field.name for field in dataclasses.fields(TrainConfig)]
    assert values["model"]["name"] == "cnn"
    assert values["model"]["filters"] == [32, 64]
    assert list(values["optimizer"]) == ["name", *(field.name for field in dataclasses.fields(AdamConfig))]
    assert values["optimizer"]["epsilon"] == 1e-7
