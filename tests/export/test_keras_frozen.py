"""Layers that are not trained stay so in the format ``keras``."""

import keras
import numpy as np
import pytest

import tfdl
from tests.export.small_models import MODELS, small_model, task_and_config
from tfdl.config import compose
from tfdl.export.keras.rebuilding import float32_model, plain_outputs
from tfdl.export.keras.task_model import task_model
from tfdl.layers import BatchNormalization, Dense, FeedForward, SelfAttention, TransformerBlock
from tfdl.tasks import Objective


def num_trained(model):
    return sum(variable.shape.num_elements() for variable in model.trainable_variables)


def num_trained_layer_by_layer(model):
    """What is trained if no layer hides the layers within it."""
    layers = [layer for layer in model._flatten_layers() if not isinstance(layer, keras.Model)]
    variables = {id(variable): variable for layer in layers for variable in layer.trainable_variables}
    return sum(variable.shape.num_elements() for variable in variables.values())


@pytest.mark.parametrize("name", MODELS)
def test_every_second_layer(name):
    task, config = task_and_config(name)
    model = small_model(config, task)
    for layer in [layer for layer in model.layers if layer.weights][::2]:
        layer.trainable = False
    assert num_trained(task_model(model, task).model) == num_trained(model) < model.count_params()


@pytest.mark.parametrize("name", ["cnn", "gru", "bert", "translation"])
def test_a_whole_model(name):
    task, config = task_and_config(name)
    model = small_model(config, task)
    model.trainable = False
    plain = task_model(model, task).model
    assert not plain.trainable_variables
    assert num_trained_layer_by_layer(plain) == 0


def test_layers_within_a_frozen_layer():
    """``from_config`` makes them after the block knows that it is frozen, so they do not know it themselves."""
    inputs = keras.Input((5, 8))
    block = TransformerBlock(SelfAttention(2), FeedForward(16), trainable=False)
    inner = keras.Sequential([keras.Input((5, 8)), Dense(8)])
    model = keras.Model(inputs, Dense(3, name="head")(inner(block(inputs))))
    inner.trainable = False
    rebuilt = keras.Model(inputs, plain_outputs(model, inputs))
    assert [variable.path for variable in rebuilt.trainable_variables] == ["head/kernel", "head/bias"]


def test_a_run_with_frozen_layers(tmp_path):
    """Batch normalization then keeps its statistics, also where the file is trained further."""
    random = np.random.default_rng(0)
    data = {"train": (random.normal(size=(32, 3)).astype(np.float32), random.normal(size=(32, 1)).astype(np.float32))}
    frozen = [Dense(4, trainable=False), BatchNormalization(trainable=False)]
    model = keras.Sequential([keras.Input((3,)), *frozen, Dense(1, name="head")])
    config = compose({"dataset.name": "python", "epochs": 1, "batch_size": 16, "xla": "off"})
    run = tfdl.train(config, tmp_path / "run", model=model, data=data, task=Objective(loss="mse"))
    exported = tfdl.export_keras(run, tmp_path / "out")
    loaded = keras.models.load_model(exported.path / "model.keras")
    assert [variable.name for variable in loaded.trainable_variables] == ["kernel", "bias"]
    before = [np.array(value) for value in loaded.non_trainable_variables]
    loaded.compile("sgd", "mse")
    loaded.fit(*data["train"], verbose=0)
    for old, new in zip(before, loaded.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(old, new)


def test_in_float32():
    """Also where layers are made anew for their precision alone."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = keras.Sequential([keras.Input((3,)), Dense(4, trainable=False), keras.layers.Dense(2)])
    finally:
        keras.config.set_dtype_policy("float32")
    assert num_trained(float32_model(model)) == num_trained(model) == 10
