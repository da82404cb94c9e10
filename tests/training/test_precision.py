"""Runs in each precision: what computes in it, what stays in float32, and that all of them repeat, resume and learn."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.evaluation import evaluate
from tfdl.runs import load_run

PRECISIONS = {"mixed_bfloat16": "bfloat16", "mixed_float16": "float16", "float64": "float64"}


@pytest.fixture(scope="module", params=PRECISIONS)
def run(request, tiny, tmp_path_factory):
    return tfdl.train(tiny(precision=request.param), tmp_path_factory.mktemp(request.param) / "run")


def test_layers_compute_in_it_and_weights_and_logits_do_not(run):
    loaded = load_run(run)
    compute = PRECISIONS[loaded.config.precision]
    kept = "float64" if compute == "float64" else "float32"
    assert {variable.dtype for variable in loaded.model.weights} == {kept}
    assert loaded.model.get_layer("conv_1").compute_dtype == compute
    assert loaded.model.get_layer("batch_normalization_1").moving_mean.dtype == kept
    image = np.zeros((1, 8, 8, 1), "float32")
    assert loaded.model(image).dtype == kept
    inner = keras.Model(loaded.model.inputs[0], loaded.model.get_layer("relu_1").output)
    assert inner(image).dtype == compute


def test_it_learns(run):
    rows = map(json.loads, run.metrics_path.open())
    first, last = [row["train"]["loss"] for row in rows if row["kind"] == "epoch"]
    assert last < first


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_comes_near_float32_and_is_another_run(precision, trained_run, tiny, tmp_path):
    """Both begin with the same weights. (The random weights of a run in float64 are others.)"""
    found = tfdl.train(tiny(precision=precision), tmp_path / "run").read_summary()
    expected = trained_run.read_summary()
    assert found["weights_sha256"] != expected["weights_sha256"]
    assert found["test"]["loss"] == pytest.approx(expected["test"]["loss"], rel=0.1)


def test_evaluating_gives_the_summary_s_numbers(run):
    assert evaluate(run) == run.read_summary()["test"]


def test_a_resumed_run_has_the_weights_of_an_uninterrupted_run(run, tiny, tmp_path):
    precision = run.read_config().precision
    half = tfdl.train(tiny(precision=precision, epochs=1), tmp_path / "half")
    whole = tfdl.train(tiny(precision=precision), half.path, resume=True)
    assert whole.read_summary()["weights_sha256"] == run.read_summary()["weights_sha256"]


def test_a_run_in_mixed_precision_is_exported_in_float32(run, tmp_path):
    exported = tfdl.export_saved_model(run, tmp_path / "exported")
    served = tf.saved_model.load(str(exported.path)).signatures["serving_default"]
    inside = {output.dtype for operation in served.graph.get_operations() for output in operation.outputs}
    assert not inside & {tf.float16, tf.bfloat16}


def test_the_policy_of_others_is_left_alone(run):
    load_run(run)
    assert keras.config.dtype_policy().name == "float32"
