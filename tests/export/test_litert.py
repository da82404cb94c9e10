"""What ``tfdl export --format litert`` writes, replaces and refuses."""

import json
import re
import shutil
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tests.export.conftest import answers_of_litert
from tests.export.places import places_in
from tests.export.small_models import small_run
from tfdl.config import compose
from tfdl.distributed import SingleWorld
from tfdl.distributed.world import set_current_world
from tfdl.errors import RunError, UserError
from tfdl.export import LiteRTExport, file_size
from tfdl.export.litert import comparison
from tfdl.export.litert.conversion import ConverterError
from tfdl.export.litert.functions import LiteRTFunction
from tfdl.export.litert.operators import foreign_operators
from tfdl.runs import load_run
from tfdl.tasks import Objective

FILES = {"model.tflite", "tfdl.json", "labels.txt"}


@pytest.fixture
def exported(digits_in_litert):
    return digits_in_litert


def names_in(folder):
    return {path.name for path in folder.iterdir()}


def asked(folder, **inputs):
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_path=str(folder / "model.tflite")).get_signature_runner("serving_default")(**inputs)


def test_the_files(exported):
    assert type(exported) is LiteRTExport
    assert names_in(exported.path) == FILES
    assert (exported.path / "labels.txt").read_text() == "".join(f"{digit}\n" for digit in range(10))
    description = json.loads((exported.path / "tfdl.json").read_text())
    assert description == {
        "format": "litert",
        "tfdl_version": tfdl.__version__,
        "task": "image-classification",
        "class_names": [str(digit) for digit in range(10)],
        "precision": "float32",
        "takes": {"image": {"dtype": "uint8", "shape": [None, 8, 8, 1]}},
        "returns": {
            "logits": {"dtype": "float32", "shape": [None, 10]},
            "probabilities": {"dtype": "float32", "shape": [None, 10]},
            "class_id": {"dtype": "int32", "shape": [None]},
        },
    }


def test_it_tells_nothing_of_where_it_was_made(exported, trained_run):
    contents = {path.name: path.read_bytes() for path in exported.path.iterdir()}
    assert b"class_id" in contents["model.tflite"]
    assert places_in(contents, trained_run) == []


@pytest.mark.usefixtures("quickly")
def test_an_earlier_export_is_overwritten(exported, trained_run, tmp_path):
    folder = tmp_path / "out"
    shutil.copytree(exported.path, folder)
    with pytest.raises(
        UserError,
        match=r"has an earlier export of this format, .*; replace it with --overwrite",
    ):
        tfdl.export_litert(trained_run, folder)
    (folder / "labels.txt").unlink()
    assert tfdl.export_litert(trained_run, folder, "best", overwrite=True).path == folder
    assert names_in(folder) == FILES
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"has 'notes\.txt', which such an export does not write"):
        tfdl.export_litert(trained_run, folder, overwrite=True)
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_file_that_answers_otherwise_is_not_left_behind(trained_run, tmp_path, monkeypatch):
    def altered(path, samples):
        answers = answers_of_litert(path, samples)
        answers["1"]["probabilities"][-1] += np.float32(0.01)
        return answers

    monkeypatch.setattr(comparison, "answers_of_litert", altered)
    with pytest.raises(RunError, match=r"the LiteRT file differs from the model by 0\.01, .*; nothing was written"):
        tfdl.export_litert(trained_run, tmp_path / "deep" / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package(trained_run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(UserError, match=r"a LiteRT file needs ai-edge-litert; pip install 'tfdl\[litert\]'"):
        tfdl.export_litert(trained_run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_rank_of_several_exports(trained_run, tmp_path):
    class SecondOfTwo(SingleWorld):
        rank = 1
        size = 2

    set_current_world(SecondOfTwo())
    try:
        with pytest.raises(UserError, match="export_litert on rank 1 of 2, expected rank 0 only"):
            tfdl.export_litert(trained_run, tmp_path / "out")
    finally:
        set_current_world(SingleWorld())


# Runs of other kinds


@pytest.mark.usefixtures("quickly")
def test_updates_of_low_rank_are_merged_and_float64_is_rounded(tmp_path):
    base = small_run("vit", tmp_path / "base", {"precision": "float64"})
    changes = {"model.lora_rank": 2, "initial_checkpoint": str(base.path), "precision": "float64"}
    run = small_run("vit", tmp_path / "run", changes)
    exported = tfdl.export_litert(run, tmp_path / "out")
    images = np.random.default_rng(1).integers(0, 256, (3, 8, 8, 3), np.uint8)
    found = asked(exported.path, image=images)["logits"]
    assert found.dtype == np.float32
    inputs = load_run(run).task.inputs({"image": images})
    np.testing.assert_allclose(found, load_run(run).model(inputs), rtol=1e-4, atol=1e-4)
    assert np.abs(found - load_run(base).model(inputs)).max() > 1e-3


@pytest.mark.usefixtures("quickly")
def test_a_model_of_the_user(tmp_path):
    random = np.random.default_rng(0)
    data = {"train": (random.normal(size=(32, 3)).astype(np.float32), random.normal(size=(32, 1)).astype(np.float32))}
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    config = compose({"dataset.name": "python", "epochs": 1, "batch_size": 16, "xla": "off"})
    run = tfdl.train(config, tmp_path / "run", model=model, data=data, task=Objective(loss="mse"))
    exported = tfdl.export_litert(run, tmp_path / "out")
    assert exported.inputs["x"].shape == [None, 3]
    assert exported.outputs["output"].shape == [None, 1]
    with pytest.raises(UserError, match="the run's task is 'supervised' with own answers; leave --precision"):
        tfdl.export_litert(run, tmp_path / "int8", precision="int8")
    assert not (tmp_path / "int8").exists()


# Operations that LiteRT has in part, or not at all


class Computed(LiteRTFunction):
    """A function of numbers."""

    def __init__(self, compute):
        super().__init__(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]), None)
        self._compute = compute

    @property
    def inputs(self):
        return {"x": tf.TensorSpec([None, 3], name="x")}

    def answer(self, inputs):
        return {"y": self._compute(self.model(inputs["x"]))}

    def sample(self, generator, count, number):  # noqa: ARG002
        return {"x": generator.normal(size=(count, 3)).astype(np.float32)}


@pytest.mark.parametrize(
    ("compute", "reason"),
    [
        (lambda x: tf.roll(x, 1, 1), "LiteRT cannot compute Roll of this model's graph with its own operations"),
        (lambda x: tf.math.lgamma(1 + tf.abs(x)), "LiteRT cannot run this model: .* not broadcastable.*"),
    ],
    ids=["conversion", "run"],
)
def test_one_row_where_litert_cannot_take_any_number(tmp_path, compute, reason):
    found = comparison.written_and_compared(Computed(compute), tmp_path / "file")
    assert found.graph.one_row
    assert found.graph.outputs["y"].shape == [1, 2]
    assert found.largest_difference <= 1e-4
    (note,) = found.notes
    assert re.fullmatch(f"the file takes one row at a time; for any number of them, {reason}", note)


def test_a_file_that_answers_otherwise_is_not_replaced_by_one_of_one_row(tmp_path, monkeypatch):
    """The control: the file for any number of rows needs no note."""
    assert comparison.written_and_compared(Computed(tf.identity), tmp_path / "file").notes == ()

    def altered(path, samples):
        answers = answers_of_litert(path, samples)
        answers["1"]["y"] += np.float32(0.01)
        return answers

    monkeypatch.setattr(comparison, "answers_of_litert", altered)
    with pytest.raises(RunError, match=r"the LiteRT file differs from the model by 0\.01"):
        comparison.written_and_compared(Computed(tf.identity), tmp_path / "file")


def test_a_file_without_an_answer_is_not_replaced_by_one_of_one_row(tmp_path, monkeypatch):
    def late(path, samples):  # noqa: ARG001
        late.calls += 1
        raise RunError("the LiteRT file gave no answer in a clean process within 1800 s")

    late.calls = 0
    monkeypatch.setattr(comparison, "answers_of_litert", late)
    with pytest.raises(RunError, match="gave no answer"):
        comparison.written_and_compared(Computed(tf.identity), tmp_path / "file")
    assert late.calls == 1


def test_a_converter_that_fails(tmp_path, monkeypatch):
    """Any reason of its own may be one that only files for any number of rows have."""

    def refused(graph):
        if graph.one_row:
            return in_precision(graph)
        raise ConverterError("no static shape")

    in_precision = comparison.in_precision
    monkeypatch.setattr(comparison, "in_precision", refused)
    (note,) = comparison.written_and_compared(Computed(tf.identity), tmp_path / "file").notes
    assert note == "the file takes one row at a time; for any number of them, no static shape"
    monkeypatch.setattr(tf.lite.TFLiteConverter, "convert", None)
    with pytest.raises(ConverterError, match="TensorFlow's converter failed: 'NoneType' object is not callable"):
        comparison.written_and_compared(Computed(tf.identity), tmp_path / "file")


@pytest.mark.usefixtures("quickly")
def test_an_operation_that_litert_does_not_have(tmp_path):
    with pytest.raises(UserError, match=r"LiteRT cannot compute BesselI0e .*use --format saved_model"):
        comparison.written_and_compared(Computed(tf.math.bessel_i0e), tmp_path / "file")


def test_a_model_that_is_too_large(tmp_path, monkeypatch):
    """It is refused before anything is converted."""
    monkeypatch.setattr(file_size, "_MOST_BYTES", 10)
    monkeypatch.setattr(comparison, "traced", None)
    with pytest.raises(UserError, match=r"the model has .* GiB of weights, but a LiteRT file holds at most 2 GiB"):
        comparison.written_and_compared(Computed(tf.identity), tmp_path / "file")


def test_foreign_operators_are_found(exported):
    """Its control: a file with one of TensorFlow's operations."""
    assert foreign_operators((exported.path / "model.tflite").read_bytes()) == []
    graph = tf.function(tf.linalg.det).get_concrete_function(tf.TensorSpec([2, 2]))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    assert foreign_operators(converter.convert()) == ["MatrixDeterminant"]
