"""The description of a model: parameters, memory and cost, by name, preset and fields."""

import math

import keras
import pytest

import tfdl
from tfdl.config import MODELS, PRESETS, CNNConfig
from tfdl.errors import UserError
from tfdl.inspection import describe_model
from tfdl.models.shapes_only import shapes_only


def test_memory_is_counted_from_the_variables():
    description = describe_model("cnn", batch_size=2)
    model = tfdl.build_model("cnn", input_shape=(24, 24, 3), num_classes=10)
    trainable = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    assert description.parameters == model.count_params()
    assert description.trainable_parameters == trainable
    assert description.weights_bytes == 4 * model.count_params()
    assert description.gradients_bytes == 4 * trainable
    assert description.optimizer_bytes == 2 * 4 * trainable  # two moments
    gradients_and_moments = 3 * description.gradients_bytes
    total = description.weights_bytes + gradients_and_moments + description.cost.activation_bytes
    assert description.training_bytes == total


def test_the_optimizer_s_state():
    assert describe_model("cnn", optimizer="sgd").optimizer_bytes == describe_model("cnn").gradients_bytes


def test_half_precision_halves_the_activations_and_keeps_the_weights():
    full = describe_model("cnn", batch_size=256, precision="float32")
    half = describe_model("cnn", batch_size=256, precision="mixed_bfloat16")
    assert half.weights_bytes == full.weights_bytes
    assert half.cost.activation_bytes < 0.6 * full.cost.activation_bytes
    assert keras.config.dtype_policy().name == "float32"


def test_fields_and_data():
    wide = describe_model({"name": "cnn", "units": 256}, {"num_classes": 100}, batch_size=1)
    assert wide.data == {"input_shape": (24, 24, 3), "num_classes": 100}
    assert wide.layers[-1].name == "logits"
    assert wide.layers[-1].parameters == 256 * 100 + 100
    assert wide.layers[-1].output_shape == "(batch, 100)"


@pytest.mark.parametrize("family", MODELS)
def test_every_family_can_be_described(family):
    description = describe_model(family, batch_size=2)
    assert 0 < description.cost.forward_flops < description.cost.training_flops
    assert description.cost.activation_bytes > 0


def test_a_model_of_two_inputs_can_be_described():
    description = describe_model("transformer-tiny", batch_size=2, sequence_length=8)
    assert 0 < description.cost.forward_flops < description.cost.training_flops
    assert description.sequence_length == 8


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_its_declared_number_of_parameters(name):
    preset = PRESETS[name]
    with shapes_only():
        model = tfdl.build_model(name, **preset.data)
    counted = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    assert counted == preset.parameters


def test_an_unknown_field():
    with pytest.raises(UserError, match=r"unknown key 'model\.unit', .*Did you mean 'units'\?"):
        describe_model({"name": "cnn", "unit": 3})


def test_an_argument_that_the_data_does_not_decide():
    with pytest.raises(UserError, match="'cnn' with vocab_size, expected only input_shape, num_classes"):
        describe_model("cnn", {"vocab_size": 3})


def test_a_preset_without_data_is_shown_with_the_family_s_example(monkeypatch):
    preset = tfdl.Preset("cnn-narrow", CNNConfig, "nowhere", 0, {"filters": (4,)})
    monkeypatch.setitem(PRESETS, preset.name, preset)
    description = describe_model("cnn-narrow")
    assert description.config.filters == (4,)
    assert description.data == CNNConfig.example_data
