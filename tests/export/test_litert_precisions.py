"""LiteRT files in float16 and int8: smaller, measured on the test split, and refused where they lose too much."""

import json

import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tests.export.small_runs import CLASSES, small_run
from tfdl.errors import RunError, UserError
from tfdl.export.litert import calibrated_conversion, cost, lowering
from tfdl.export.litert.cost import Cost, cost_of
from tfdl.export.litert.report import report_lines


@pytest.mark.slow
def test_int8_of_images(trained_run, tmp_path):
    exported = tfdl.export_litert(trained_run, tmp_path / "out", precision="int8")
    assert exported.cost.before == pytest.approx(tfdl.evaluate(trained_run)["accuracy"])
    assert exported.cost.after == pytest.approx(exported.cost.before, abs=0.02)
    assert json.loads((exported.path / "litert.json").read_text())["precision"] == "int8"
    lines = report_lines(exported)
    note = "note: weights and the numbers between layers are int8, in the ranges of 256 training samples"
    assert note in lines
    assert lines[-2] == f"size: {exported.num_bytes_before:,} -> {exported.num_bytes:,} bytes"
    before, after = exported.cost.before, exported.cost.after
    assert lines[-1] == f"accuracy {before:.4f} -> {after:.4f} on the test split (180 samples)"


WEIGHTS_ALONE = "weights are int8; the numbers between layers stay float32"
TEXTS = {"name": "python_topics", "train_split": "train[1:3]", "validation_split": "validation[:1]",
         "test_split": "test[:1]"}  # fmt: skip


@pytest.mark.parametrize("name", ["lstm", "decoder"])
def test_int8_of_texts(name, tmp_path):
    """The perplexity in float32 is the model's, also of a model that carries its state."""
    run = small_run(tmp_path / "run", name, {"dataset": TEXTS})
    exported = tfdl.export_litert(run, tmp_path / "out", precision="int8")
    expected = tfdl.evaluate(run)["perplexity"]
    assert exported.cost.metric == "perplexity"
    assert exported.cost.before == pytest.approx(expected, rel=1e-4)
    assert exported.cost.after == pytest.approx(expected, rel=0.05)
    assert exported.cost.after != exported.cost.before
    assert exported.num_bytes < exported.num_bytes_before
    assert exported.notes[-1] == WEIGHTS_ALONE


def test_a_precision_that_costs_too_much_is_not_left_behind(trained_run, tmp_path, monkeypatch):
    monkeypatch.setattr(cost, "MOST_ACCURACY", -1.0)
    with pytest.raises(UserError, match=r"precision 'float16' costs too much: accuracy .* -> .*, expected a loss of"):
        tfdl.export_litert(trained_run, tmp_path / "out", precision="float16")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("before", "after", "is_sound"),
    [
        ({"accuracy": 0.9}, {"accuracy": 0.88}, True),
        ({"accuracy": 0.9}, {"accuracy": 0.87}, False),
        ({"accuracy": 0.9}, {"accuracy": 0.95}, True),
        ({"accuracy": 0.9}, {"accuracy": float("nan")}, False),
        ({"perplexity": 20.0, "accuracy": 0.3}, {"perplexity": 21.0, "accuracy": 0.1}, True),
        ({"perplexity": 20.0}, {"perplexity": 21.1}, False),
        ({"perplexity": 20.0}, {"perplexity": float("inf")}, False),
    ],
)
def test_the_bounds(before, after, is_sound):
    assert cost_of(before, after, 10).is_sound == is_sound


def test_a_task_with_other_metrics():
    with pytest.raises(UserError, match="the task's metrics are loss, iou, expected perplexity or accuracy"):
        cost_of({"loss": 1.0, "iou": 0.5}, {"loss": 1.0, "iou": 0.5}, 10)


def test_the_line():
    assert Cost("accuracy", 0.98125, 0.98, 1800).line == "accuracy 0.9812 -> 0.9800 on the test split (1,800 samples)"


def test_a_converter_that_crashes(trained_run, tmp_path, monkeypatch):
    """As TensorFlow's does for an LSTM of Keras. Then the weights alone become int8."""
    monkeypatch.setattr(calibrated_conversion, "_PROGRAM", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    exported = tfdl.export_litert(trained_run, tmp_path / "out", precision="int8")
    reason = "TensorFlow's converter crashes (SIGSEGV) when it measures their ranges"
    assert exported.notes == (f"{WEIGHTS_ALONE}, since {reason}",)


def test_a_converter_that_fails(monkeypatch):
    monkeypatch.setattr(calibrated_conversion, "_PROGRAM", "raise ValueError('no ranges')")
    module = tf.Module()
    module.double = tf.function(lambda x: {"y": 2 * x})
    graph = module.double.get_concrete_function(x=tf.TensorSpec([1]))
    with pytest.raises(RunError, match="the conversion to int8 failed: ValueError: no ranges"):
        calibrated_conversion.converted_with_calibration(module, graph, {"x": np.ones([4], np.float32)})


@pytest.mark.slow
def test_numbers_between_layers_that_cost_too_much(trained_run, tmp_path, monkeypatch):
    """Ranges of black images alone make them useless."""
    calibration = lowering._calibration

    def black(function, source):
        return {name: np.zeros_like(images) for name, images in calibration(function, source).items()}

    monkeypatch.setattr(lowering, "_calibration", black)
    exported = tfdl.export_litert(trained_run, tmp_path / "out", precision="int8")
    (note,) = exported.notes
    assert note.startswith(f"{WEIGHTS_ALONE}; in int8 they cost too much: accuracy 0.")
    assert exported.cost.is_sound


def test_data_that_is_not_there(tmp_path):
    run = small_run(tmp_path / "run", "cnn", {"dataset.name": str(tmp_path / "gone")})
    with pytest.raises(UserError, match="what precision 'float16' costs is measured on the run's own data, which"):
        tfdl.export_litert(run, tmp_path / "out", precision="float16")
    assert not (tmp_path / "out").exists()


def test_data_that_python_code_passed(tmp_path):
    random = np.random.default_rng(0)
    splits = {"train": 8, "validation": 4, "test": 4}
    data = {
        split: (random.integers(0, 256, (count, 8, 8, 3), np.uint8), np.resize(CLASSES, count))
        for split, count in splits.items()
    }
    run = small_run(tmp_path / "run", "cnn", {"dataset.name": "python"})
    with pytest.raises(UserError, match="which Python code passed; pass it again"):
        tfdl.export_litert(run, tmp_path / "out", precision="float16")
    exported = tfdl.export_litert(run, tmp_path / "out", precision="float16", data=data)
    assert exported.cost.num_samples == 4


def test_a_precision_that_there_is_not(trained_run, tmp_path):
    with pytest.raises(UserError, match="precision 'int4', but the format litert has float32, float16, int8"):
        tfdl.export_litert(trained_run, tmp_path / "out", precision="int4")
