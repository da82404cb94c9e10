"""Mixed precision, updates of low rank and synchronized statistics: what is exported is plain float32."""

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf

import tfdl
from tests.distributed.launching import launch
from tests.export.small_models import MODELS, small_run
from tfdl.errors import UserError
from tfdl.export.float32_run import load_float32
from tfdl.export.onnx.runtime import OnnxModel
from tfdl.runs import RunDirectory, load_run


def check_exports(run, folder, inputs, name):
    """Exports a run in each format; the answers are those of its model, evaluated in float32 with merged weights."""
    reference = load_run(run, precision="float32", merged=True)
    features = reference.task.inputs({"image": tf.constant(inputs)}) if name == "image" else tf.constant(inputs)
    expected = tf.nn.softmax(reference.model(features, training=False))
    saved = tfdl.export_saved_model(run, folder / "saved_model")
    variables = tf.train.load_checkpoint(str(saved.path / "variables" / "variables"))
    numbers = {dtype for dtype in variables.get_variable_to_dtype_map().values() if dtype.is_floating}
    assert numbers == {tf.float32}
    plain = keras.models.load_model(tfdl.export_keras(run, folder / "keras").path / "model.keras")
    assert {variable.dtype for variable in plain.weights} == {"float32"}
    assert {layer.compute_dtype for layer in plain.layers} == {"float32"}
    assert not [variable.path for variable in plain.weights if "lora" in variable.path]
    np.testing.assert_allclose(plain(inputs, training=False), expected, rtol=1e-4, atol=1e-4)
    path = tfdl.export_onnx(run, folder / "onnx").path / "model.onnx"
    float_types = {onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE}
    assert not {tensor.data_type for tensor in onnx.load(path).graph.initializer} & float_types
    answers = OnnxModel(path).answers({name: inputs})
    np.testing.assert_allclose(answers["probabilities"], expected, rtol=1e-4, atol=1e-4)


def low_rank_run(folder, precision):
    base = small_run("encoder", folder / "base")
    model = {**MODELS["encoder"][1], "lora_rank": 2, "lora_alpha": 4.0}
    fields = {"model": model, "precision": precision, "initial_checkpoint": str(base.path), "optimizer": "adam"}
    return small_run("encoder", folder / "run", fields)


TOKENS = np.random.default_rng(0).integers(1, 259, (3, 12), np.int32)


@pytest.mark.slow
@pytest.mark.usefixtures("quickly")
def test_updates_of_low_rank_in_mixed_precision(tmp_path):
    check_exports(low_rank_run(tmp_path, "mixed_float16"), tmp_path, TOKENS, "token_ids")


def precisions_of(exported):
    """The precisions of a SavedModel's variables and outputs."""
    variables = tf.train.load_checkpoint(str(exported.path / "variables" / "variables"))
    numbers = {dtype.name for dtype in variables.get_variable_to_dtype_map().values() if dtype.is_floating}
    return numbers | {dtype for dtype, _ in exported.outputs.values() if "float" in dtype}


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("name", ["gpt2", "cnn"])
def test_a_saved_model_of_a_run_in_float64(tmp_path, name):
    run = small_run(name, tmp_path / "run", {"precision": "float64"})
    assert precisions_of(tfdl.export_saved_model(run, tmp_path / "exported")) == {"float32"}


def own_model(policy):
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(4, 3, dtype=policy),
            layers.BatchNormalization(dtype=policy),
            layers.Flatten(dtype=policy),
            layers.Dense(10, dtype=policy),
        ]
    )


@keras.saving.register_keras_serializable("tests")
class OwnModel(keras.Model):
    """A model without a graph of layers."""

    def __init__(self, policy, **options):
        super().__init__(**options)
        self.policy = policy
        self.inner = own_model(policy)

    def call(self, inputs):
        return self.inner(inputs)

    def get_config(self):
        return {**super().get_config(), "policy": self.policy}


def trained_own(model, tiny, folder):
    return tfdl.train(tiny(steps=2), folder, model=model)


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float64"])
def test_a_model_of_the_user_becomes_float32(tiny, tmp_path, policy):
    run = trained_own(own_model(policy), tiny, tmp_path / "run")
    assert precisions_of(tfdl.export_saved_model(run, tmp_path / "exported")) == {"float32"}


def test_a_model_that_cannot_be_made_anew_is_refused(tiny, tmp_path):
    run = trained_own(OwnModel("mixed_bfloat16"), tiny, tmp_path / "run")
    with pytest.raises(UserError, match=r"the layer '.*' of your OwnModel computes in bfloat16, and only functional"):
        tfdl.export_saved_model(run, tmp_path / "exported")
    assert not (tmp_path / "exported").exists()


@pytest.mark.usefixtures("quickly")
def test_float64_that_cannot_be_made_anew_stays(tiny, tmp_path):
    run = trained_own(OwnModel("float64"), tiny, tmp_path / "run")
    assert "float64" in precisions_of(tfdl.export_saved_model(run, tmp_path / "exported"))
    with pytest.raises(UserError, match=r"the layer '.*' of your OwnModel computes in float64"):
        tfdl.export_onnx(run, tmp_path / "onnx")


def test_float64_is_rounded(tmp_path):
    run = low_rank_run(tmp_path, "float64")
    model = load_float32(run, "last").model
    expected = load_run(run).model(TOKENS, training=False)
    assert {variable.dtype for variable in model.weights} == {"float32"}
    assert not [variable.path for variable in model.weights if "lora" in variable.path]
    np.testing.assert_allclose(model(TOKENS, training=False), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("quickly")
@pytest.mark.distributed
def test_synchronized_statistics_of_two_ranks_in_mixed_precision(tmp_path):
    tiny = ("--set", "model.filters=[4]", "--set", "model.units=8", "--image-size", "8", "--steps", "3")
    job = launch(2, "tfdl", "train", "--precision", "mixed_bfloat16", *tiny, "--output", str(tmp_path / "run"))
    assert job.code == 0, job.output
    run = RunDirectory.open(tmp_path / "run")
    assert run.read_summary()["world_size"] == 2
    assert run.read_config().model.synchronized
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), np.uint8)
    check_exports(run, tmp_path, images, "image")
