"""LiteRT files in float16 and int8: smaller, measured on the test split, and refused where they lose too much."""

import json
import signal

import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tests.export.small_models import small_run
from tfdl.errors import RunError
from tfdl.export.litert import calibrated_conversion, lowering


@pytest.mark.slow
@pytest.mark.usefixtures("quickly")
def test_int8_of_images(trained_run, tmp_path):
    exported = tfdl.export_litert(trained_run, tmp_path / "out", precision="int8")
    assert exported.cost.before == pytest.approx(tfdl.evaluate(trained_run)["accuracy"])
    assert exported.cost.after == pytest.approx(exported.cost.before, abs=0.02)
    assert json.loads((exported.path / "tfdl.json").read_text())["precision"] == "int8"
    note = "weights and the numbers between layers are int8, in the ranges of 256 training samples"
    assert exported.notes[-1] == note
    assert exported.size < exported.float32_size


WEIGHTS_ALONE = "weights are int8; the numbers between layers stay float32"
TEXTS = {"name": "python_topics", "train_split": "train[1:3]", "validation_split": "validation[:1]",
         "test_split": "test[:1]"}  # fmt: skip


@pytest.mark.parametrize("name", ["lstm", "gpt2"])
@pytest.mark.usefixtures("quickly")
def test_int8_of_texts(name, tmp_path):
    """The perplexity in float32 is the model's, also of a model that carries its state."""
    run = small_run(name, tmp_path / "run", {"dataset": TEXTS})
    exported = tfdl.export_litert(run, tmp_path / "out", precision="int8")
    expected = tfdl.evaluate(run)["perplexity"]
    assert exported.cost.metric == "perplexity"
    assert exported.cost.before == pytest.approx(expected, rel=1e-4)
    assert exported.cost.after == pytest.approx(expected, rel=0.05)
    assert exported.cost.after != exported.cost.before
    assert exported.size < exported.float32_size
    assert exported.notes[-1] == WEIGHTS_ALONE


@pytest.mark.usefixtures("quickly")
def test_a_converter_that_crashes(trained_run, tmp_path, monkeypatch):
    """As TensorFlow's does for an LSTM of Keras. Then the weights alone become int8."""
    monkeypatch.setattr(calibrated_conversion, "_PROGRAM", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    exported = tfdl.export_litert(trained_run, tmp_path / "out", precision="int8")
    reason = "TensorFlow's converter crashes (SIGSEGV) when it measures their ranges"
    assert exported.notes[-1] == f"{WEIGHTS_ALONE}, since {reason}"


@pytest.mark.usefixtures("quickly")
def test_a_converter_that_is_ended_from_outside(trained_run, tmp_path, monkeypatch):
    """As where memory is short. The weights alone would not be what the user asked for."""
    monkeypatch.setattr(calibrated_conversion, "_PROGRAM", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(RunError, match=r"ended by SIGKILL, .* lack of memory; .* --precision float16"):
        tfdl.export_litert(trained_run, tmp_path / "out", precision="int8")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["SIGABRT", "SIGBUS", "SIGILL", "SIGFPE", "SIGTERM", "SIGINT", "SIGRTMIN"])
def test_other_signals(name):
    error = calibrated_conversion._ended_by(getattr(signal, name))
    is_crash = name in ("SIGABRT", "SIGBUS", "SIGILL", "SIGFPE")
    assert (type(error) is calibrated_conversion.ConverterCrashError) == is_crash
    assert name in str(error)


def test_a_signal_without_a_name():
    assert "ended by signal 40," in str(calibrated_conversion._ended_by(40))


def test_a_converter_that_fails(monkeypatch):
    monkeypatch.setattr(calibrated_conversion, "_PROGRAM", "raise ValueError('no ranges')")
    module = tf.Module()
    module.double = tf.function(lambda x: {"y": 2 * x})
    graph = module.double.get_concrete_function(x=tf.TensorSpec([1]))
    with pytest.raises(RunError, match="the conversion to int8 failed: ValueError: no ranges"):
        calibrated_conversion.converted_with_calibration(module, graph, {"x": np.ones([4], np.float32)})


@pytest.mark.slow
@pytest.mark.usefixtures("quickly")
def test_numbers_between_layers_that_cost_too_much(trained_run, tmp_path, monkeypatch):
    """Ranges of black images alone make them useless."""
    calibration_images = lowering.calibration_images
    monkeypatch.setattr(lowering, "calibration_images", lambda source: np.zeros_like(calibration_images(source)))
    exported = tfdl.export_litert(trained_run, tmp_path / "out", precision="int8")
    assert exported.notes[-1].startswith(f"{WEIGHTS_ALONE}; in int8 they cost too much: accuracy 0.")
    assert exported.cost.is_sound
