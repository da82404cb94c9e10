"""What ``tfdl.export_onnx`` writes runs without TensorFlow and answers as the model does, or is not written."""

import json
import re
import sys
import tempfile

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from onnx import numpy_helper

import tfdl
from tests.cli.conftest import run_here as run_here
from tests.export.conftest import answers_of_onnx
from tests.export.places import places_in
from tests.export.small_models import small_run
from tfdl.errors import RunError, UserError
from tfdl.export import file_size
from tfdl.export.number_signature import NumberSignature, number_signature
from tfdl.export.onnx import precision, runtime
from tfdl.export.onnx.conversion import to_onnx
from tfdl.export.onnx.precision import in_float16
from tfdl.export.tensors import TensorType
from tfdl.runs import load_run


def session_of(exported):
    return onnxruntime.InferenceSession(exported.path / "model.onnx", providers=["CPUExecutionProvider"])


@pytest.fixture
def exported(digits_in_onnx):
    return digits_in_onnx


def test_what_it_takes_and_returns(exported):
    assert exported.inputs == {"image": TensorType("uint8", ("batch", 8, 8, 1))}
    described = {name: str(tensor) for name, tensor in exported.outputs.items()}
    assert described == {"probabilities": "float32 (batch, 10)", "class_id": "int32 (batch)"}
    assert exported.files == ("labels.txt", "model.onnx", "tfdl.json")
    assert exported.compared == 64
    assert 0 <= exported.largest_difference <= 1e-4
    assert exported.size == exported.float32_size == (exported.path / "model.onnx").stat().st_size
    assert exported.cost is None
    onnx.checker.check_model(onnx.load(exported.path / "model.onnx"), full_check=True)


@pytest.mark.parametrize("count", [1, 3, 70])
def test_any_number_of_raw_images(exported, trained_run, count):
    images = np.random.default_rng(5).integers(0, 256, (count, 8, 8, 1), np.uint8)
    probabilities, class_id = session_of(exported).run(["probabilities", "class_id"], {"image": images})
    loaded = load_run(trained_run)
    expected = loaded.task.serve(loaded.model, image=tf.constant(images))
    np.testing.assert_allclose(probabilities, expected["probabilities"], atol=1e-5)
    np.testing.assert_array_equal(class_id, expected["class_id"])


def test_the_file_names_the_classes(exported):
    metadata = session_of(exported).get_modelmeta().custom_metadata_map
    assert metadata["task"] == "image-classification"
    assert metadata["precision"] == "float32"
    assert json.loads(metadata["class_names"]) == [str(number) for number in range(10)]


def test_it_tells_nothing_of_where_it_was_made(exported, trained_run):
    contents = {path.name: path.read_bytes() for path in exported.path.iterdir()}
    assert b"class_names" in contents["model.onnx"]
    assert places_in(contents, trained_run) == []


def test_the_command(trained_run, tmp_path, run_here):
    options = ("--format", "onnx", "--precision", "int8")
    code, printed, errors = run_here("export", trained_run.path, tmp_path / "out", *options)
    assert (code, errors) == (0, "")
    lines = printed.splitlines()
    written = re.escape(f"ONNX model {tmp_path / 'out'}")
    assert re.fullmatch(rf"{written} \(\d+\.\d KiB\): labels\.txt, model\.onnx, tfdl\.json", lines[0])
    assert lines[1:4] == [
        "  takes    image: uint8 (batch, 8, 8, 1)",
        "  returns  probabilities: float32 (batch, 10)",
        "  returns  class_id: int32 (batch)",
    ]
    asked_by = "run by onnxruntime without tfdl, Horovod and TensorFlow"
    assert re.fullmatch(rf"parity: largest difference \S+ over 64 samples in float32, {asked_by}", lines[4])
    before = trained_run.read_summary()["test"]["accuracy"]
    measured = rf"accuracy {before:.4f} -> 0\.\d{{4}} on the test split \(180 samples\)"
    assert re.fullmatch(rf"int8: {measured}; size \d+\.\d KiB -> \d+\.\d KiB", lines[5])
    assert lines[6:] == [
        "note: images must have 8x8 pixels (width x height): the file does not resize them",
        f"load it with onnxruntime.InferenceSession('{tmp_path / 'out' / 'model.onnx'}')",
    ]
    weights = onnx.load(tmp_path / "out" / "model.onnx").graph.initializer
    kernels = [tensor for tensor in weights if len(tensor.dims) == 4]
    assert {tensor.data_type for tensor in kernels} == {onnx.TensorProto.INT8}
    contents = {"model.onnx": (tmp_path / "out" / "model.onnx").read_bytes()}
    assert places_in(contents, trained_run) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--format", "onnx", "--precision", "int4"),
            "precision 'int4', but the format onnx has float32, float16, int8",
        ),
        (("--format", "keras", "--precision", "int8"), "precision 'int8', but the format keras has float32"),
        (("--format", "onnx"), "is not empty, expected a new or empty folder"),
    ],
)
def test_bad_input_is_one_line(trained_run, tmp_path, run_here, options, message):
    (tmp_path / "notes.txt").write_text("mine")
    code, printed, errors = run_here("export", trained_run.path, tmp_path, *options)
    assert (code, printed) == (2, "")
    assert message in errors
    assert errors.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.usefixtures("quickly")
def test_only_an_earlier_export_is_overwritten(trained_run, tmp_path):
    out = tmp_path / "out"
    tfdl.export_onnx(trained_run, out)
    tfdl.export_onnx(trained_run, out, precision="float16", overwrite=True)
    assert json.loads((out / "tfdl.json").read_text())["precision"] == "float16"
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"has 'notes\.txt', which such an export does not write"):
        tfdl.export_onnx(trained_run, out, overwrite=True)
    assert (out / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("output", "change"),
    [
        ("probabilities", lambda values: values + np.float32(0.01)),
        ("probabilities", lambda values: values * np.float32("nan")),
        ("probabilities", lambda values: np.where(values < 0.04, 1.002 * values, values)),
        ("class_id", lambda values: (values + 1) % 10),
        ("class_id", lambda values: values[:-1]),
    ],
    ids=["numbers", "nan", "small-numbers", "class", "shape"],
)
def test_a_file_with_other_answers_is_not_left_behind(trained_run, tmp_path, monkeypatch, output, change):
    def altered(path, inputs):
        answers = answers_of_onnx(path, inputs)
        answers["several"][output] = change(answers["several"][output])
        return answers

    monkeypatch.setattr(runtime, "answers_of_onnx", altered)
    with pytest.raises(RunError, match=r"the ONNX model differs from the model by .*; nothing was written"):
        tfdl.export_onnx(trained_run, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("precision_name", ["float32", "float16"])
@pytest.mark.usefixtures("quickly")
def test_no_file_is_made_where_temporary_files_are(trained_run, tmp_path, monkeypatch, precision_name):
    """A file of 2 GiB may not fit there. All are where the export will be."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "full"))
    exported = tfdl.export_onnx(trained_run, tmp_path / "out", precision=precision_name)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    names = sorted(path.name for path in exported.path.iterdir())
    assert names == list(exported.files) == ["labels.txt", "model.onnx", "tfdl.json"]


def test_a_package_that_is_missing(trained_run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(UserError, match=r"an ONNX file needs tf2onnx; pip install 'tfdl\[onnx\]'"):
        tfdl.export_onnx(trained_run, tmp_path / "out")


# Smaller precisions


@pytest.mark.usefixtures("quickly")
def test_float16_halves_the_weights_and_computes_in_float32(trained_run, tmp_path):
    exported = tfdl.export_onnx(trained_run, tmp_path / "out", precision="float16")
    whole = tfdl.export_onnx(trained_run, tmp_path / "whole")
    assert exported.float32_size - exported.size > 0
    halves = stored(exported, onnx.TensorProto.FLOAT16)
    expected = [values for values in stored(whole, onnx.TensorProto.FLOAT) if values.size >= 16]
    assert len(halves) == len(expected) >= 2
    for half, values in zip(halves, expected, strict=True):
        np.testing.assert_array_equal(half, values.astype(np.float16))
    measured = trained_run.read_summary()["test"]["accuracy"]
    assert exported.cost.before == pytest.approx(measured, abs=1e-9)
    assert str(exported.cost).startswith(f"accuracy {measured:.4f} -> ")


def stored(exported, data_type):
    tensors = onnx.load(exported.path / "model.onnx").graph.initializer
    return [numpy_helper.to_array(tensor) for tensor in tensors if tensor.data_type == data_type]


def test_a_weight_that_float16_cannot_store():
    weights = numpy_helper.from_array(np.full(20, 1e5, np.float32), "weights")
    node = onnx.helper.make_node("Neg", ["weights"], ["y"])
    output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [20])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "graph", [], [output], [weights]))
    with pytest.raises(UserError, match=r"a weight is 1e\+05, but float16 ends at 65504"):
        in_float16(model)


@pytest.mark.usefixtures("quickly")
def test_a_model_that_becomes_much_worse_is_not_written(trained_run, tmp_path, monkeypatch):
    def worse(source, target, samples):
        assert len(samples) == 256
        model = onnx.load(source)
        for tensor in model.graph.initializer:
            if len(tensor.dims) > 1 and tensor.data_type == onnx.TensorProto.FLOAT:
                zeros = np.zeros_like(numpy_helper.to_array(tensor))
                tensor.CopyFrom(numpy_helper.from_array(zeros, tensor.name))
        onnx.save(model, target)

    monkeypatch.setattr(precision, "write_int8", worse)
    message = (
        r"accuracy 0\.\d{4} -> 0\.\d{4} on the test split \(180 samples\), expected at most 0\.02 and at most a tenth"
    )
    with pytest.raises(UserError, match=message):
        tfdl.export_onnx(trained_run, tmp_path / "out", precision="int8")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.usefixtures("quickly")
def test_a_language_model_of_8_bits(tiny_language, tmp_path):
    run = tfdl.train(tiny_language("transformer", steps=4), tmp_path / "run")
    exported = tfdl.export_onnx(run, tmp_path / "out", precision="int8")
    before = exported.cost.before
    assert exported.cost.metric == "perplexity"
    assert before == pytest.approx(run.read_summary()["test"]["perplexity"], rel=1e-5)
    assert before != exported.cost.after <= 1.05 * before
    assert stored(exported, onnx.TensorProto.INT8)


# What ONNX does not have


def test_a_model_that_is_too_large(monkeypatch):
    monkeypatch.setattr(file_size, "_MOST_BYTES", 100)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8)])
    with pytest.raises(UserError, match=r"the model has .* GiB of weights, but an ONNX file holds at most 2 GiB"):
        to_onnx(model, signature_of(lambda model, x: {"y": model(x)}))


def signature_of(answer):
    return NumberSignature({"x": TensorType("float32", ("batch", 4))}, {}, answer, {})


def test_an_operation_that_onnx_lacks():
    def answer(model, x):
        return {"y": tf.math.lgamma(model(x))}

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8)])
    with pytest.raises(UserError, match="the model computes Lgamma, which ONNX does not have"):
        to_onnx(model, signature_of(answer))


def test_exact_gelu_of_keras():
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(8), keras.layers.Activation(keras.activations.gelu)]
    )
    converted, outputs = to_onnx(model, signature_of(lambda model, x: {"y": model(x)}))
    assert str(outputs["y"]) == "float32 (batch, 8)"
    x = np.linspace(-3, 3, 12, dtype=np.float32).reshape(3, 4)
    (found,) = onnxruntime.InferenceSession(converted.SerializeToString()).run(None, {"x": x})
    np.testing.assert_allclose(found, model(x), rtol=1e-5, atol=1e-6)


def test_a_task_that_takes_strings():
    class Named(tfdl.tasks.ImageClassification):
        def serving_signature(self):
            return {"name": tf.TensorSpec([None], tf.string)}

        def serve(self, model, name):  # noqa: ARG002
            return {"name": name}

    with pytest.raises(UserError, match=r"the task 'image-classification' takes strings \(name\)"):
        number_signature(Named((8, 8, 1), ("a", "b"), resized=False))


@pytest.mark.usefixtures("quickly")
def test_texts_longer_than_in_training_are_cut(tmp_path):
    run = small_run("bert", tmp_path / "run")
    exported = tfdl.export_onnx(run, tmp_path / "out")
    loaded = load_run(run)
    session = session_of(exported)
    text = "a text of many more bytes than it reads"
    long = np.array([[1, *loaded.task.tokenizer.encode(text), 2]], np.int32)
    expected = loaded.task.serve(loaded.model, text=tf.constant([text]))
    found, class_id = session.run(["probabilities", "class_id"], {"token_ids": long})
    np.testing.assert_allclose(found, expected["probabilities"], atol=1e-5)
    assert class_id == expected["class_id"]
