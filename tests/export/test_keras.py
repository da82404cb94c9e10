"""What ``tfdl.export_keras`` writes loads without tfdl and answers as the model does, or is not written."""

import json
import re

import keras
import numpy as np
import pytest

import tfdl
from tests.cli.conftest import run_here as run_here
from tests.export.conftest import answers_of_keras
from tests.export.places import places_in
from tests.export.small_models import small_run
from tfdl.errors import RunError, UserError
from tfdl.export.keras import exporting
from tfdl.export.keras.foreign_classes import foreign_classes
from tfdl.export.keras.rebuilding import float32_model, plain_outputs
from tfdl.export.tensors import TensorType
from tfdl.layers import BatchNormalization, Dense
from tfdl.runs import load_run


@pytest.fixture
def exported(digits_in_keras):
    return digits_in_keras


def test_what_it_takes_and_returns(exported):
    assert exported.inputs == {"image": TensorType("float32", ("any", 8, 8, 1), "pixels from 0 to 255")}
    assert exported.outputs == {"probabilities": TensorType("float32", ("any", 10))}
    assert exported.files == ("labels.txt", "model.keras", "tfdl.json")
    assert exported.compared == 64
    assert 0 <= exported.largest_difference <= 1e-4
    assert exported.size == (exported.path / "model.keras").stat().st_size


def test_raw_images_get_the_probabilities_of_predictions(exported, trained_run):
    images = np.random.default_rng(5).integers(0, 256, (7, 8, 8, 1), np.uint8)
    model = keras.models.load_model(exported.path / "model.keras")
    expected = load_run(trained_run).task.serve(load_run(trained_run).model, image=images)["probabilities"]
    for given in (images, images.astype(np.float32)):
        np.testing.assert_allclose(model.predict(given, verbose=0), expected, atol=1e-5)
    assert {variable.dtype for variable in model.weights} == {"float32"}


def test_the_files_beside_it(exported):
    assert (exported.path / "labels.txt").read_text() == "".join(f"{number}\n" for number in range(10))
    assert json.loads((exported.path / "tfdl.json").read_text()) == {
        "format": "keras",
        "tfdl_version": tfdl.__version__,
        "task": "image-classification",
        "class_names": [str(number) for number in range(10)],
        "precision": "float32",
        "takes": {"image": {"dtype": "float32", "shape": [None, 8, 8, 1]}},
        "returns": {"probabilities": {"dtype": "float32", "shape": [None, 10]}},
    }


def test_it_tells_nothing_of_where_it_was_made(exported, trained_run):
    contents = {path.name: path.read_bytes() for path in exported.path.iterdir()}
    assert b"probabilities" in contents["tfdl.json"]
    assert places_in(contents, trained_run) == []


def test_it_can_be_trained_further(exported):
    """Its last layer but one gives logits, and its statistics are updated."""
    model = keras.models.load_model(exported.path / "model.keras")
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = [np.array(value) for value in model.non_trainable_weights]
    model.fit(np.zeros((4, 8, 8, 1)), np.zeros(4), verbose=0)
    assert before
    assert all(np.any(old != new) for old, new in zip(before, model.non_trainable_weights, strict=True))
    assert model.get_layer("logits").output.shape == (None, 10)


@pytest.mark.usefixtures("quickly")
def test_the_command(trained_run, tmp_path, run_here):
    code, printed, errors = run_here("export", trained_run.path, tmp_path / "out", "--format", "keras")
    assert (code, errors) == (0, "")
    lines = printed.splitlines()
    written = re.escape(f"Keras model {tmp_path / 'out'}")
    assert re.fullmatch(rf"{written} \(\d+\.\d KiB\): labels\.txt, model\.keras, tfdl\.json", lines[0])
    assert lines[1:3] == [
        "  takes    image: float32 (any, 8, 8, 1), pixels from 0 to 255",
        "  returns  probabilities: float32 (any, 10)",
    ]
    parity = r"parity: largest difference \S+ over 64 samples, loaded by Keras without tfdl and Horovod"
    assert re.fullmatch(parity, lines[3])


@pytest.mark.usefixtures("quickly")
def test_only_an_earlier_export_is_overwritten(trained_run, tmp_path):
    out = tmp_path / "out"
    tfdl.export_keras(trained_run, out)
    with pytest.raises(
        UserError,
        match=r"has an earlier export of this format, .*; replace it with --overwrite",
    ):
        tfdl.export_keras(trained_run, out)
    inode = (out / "model.keras").stat().st_ino
    tfdl.export_keras(trained_run, out, overwrite=True)
    assert (out / "model.keras").stat().st_ino != inode
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"has 'notes\.txt', which such an export does not write; expected an earlier"):
        tfdl.export_keras(trained_run, out, overwrite=True)
    assert (out / "notes.txt").read_text() == "mine"


def test_an_export_of_another_format_is_kept(trained_run, tmp_path):
    (tmp_path / "tfdl.json").write_text('{"format": "onnx"}')
    with pytest.raises(UserError, match="has an export of the format onnx; expected an earlier export of this format"):
        tfdl.export_keras(trained_run, tmp_path, overwrite=True)


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values + np.float32(0.01),
        lambda values: values[:-1],
        lambda values: values * np.float32("nan"),
        lambda values: np.where(values < 0.04, 1.002 * values, values),
    ],
    ids=["numbers", "shape", "nan", "small-numbers"],
)
def test_a_file_with_other_answers_is_not_left_behind(trained_run, tmp_path, monkeypatch, change):
    def altered(what, program, arguments, inputs):  # noqa: ARG001
        answers = answers_of_keras(*arguments, inputs)
        answers["several"]["0"] = change(answers["several"]["0"])
        return answers

    monkeypatch.setattr(exporting, "answers_in_clean_process", altered)
    with pytest.raises(RunError, match=r"the Keras model differs from the model by .*; nothing was written"):
        tfdl.export_keras(trained_run, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quickly")
def test_texts(tmp_path):
    """Token numbers, and what the tokenizer has learned beside the model."""
    exported = tfdl.export_keras(small_run("gpt2", tmp_path / "run"), tmp_path / "out")
    assert str(exported.inputs["token_ids"]) == "int32 (any, any)"
    assert str(exported.outputs["logits"]) == "float32 (any, any, 259)"
    assert exported.files == ("model.keras", "tfdl.json", "vocabulary.json")
    (note,) = exported.notes
    assert "no other library has tfdl's tokenizer byte" in note
    described = json.loads((exported.path / "tfdl.json").read_text())
    assert described["tokens"] == {"start_id": 1, "end_id": 2, "pad_id": 0, "longest": 12, "before": 2, "after": None}


# Models of the user


@keras.saving.register_keras_serializable(package="tests")
class Doubled(keras.layers.Layer):
    """A layer that only this module has."""

    def call(self, inputs):
        return 2 * inputs


@keras.saving.register_keras_serializable(package="tests")
def thrice(values):
    return 3 * values


def rebuilt(model):
    inputs = keras.Input(model.input_shape[1:])
    return keras.Model(inputs, plain_outputs(model, inputs))


def test_classes_that_keras_lacks_are_named():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2, thrice)(Doubled()(inputs)))
    assert foreign_classes(rebuilt(model)) == ["Doubled", "thrice"]
    with pytest.raises(UserError, match="the model has Doubled, thrice, which Keras itself does not have"):
        exporting._check_classes(rebuilt(model))


def test_layers_of_tfdl_in_a_sequential_model_with_nested_models():
    inner = keras.Sequential([keras.Input((4,)), Dense(4, "relu"), BatchNormalization(synchronized=True)])
    model = keras.Sequential([keras.Input((4,)), keras.layers.Normalization(mean=1.0, variance=2.0), inner, Dense(2)])
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    plain = rebuilt(model)
    assert foreign_classes(plain) == []
    np.testing.assert_allclose(plain(x), model(x), rtol=1e-6, atol=1e-6)


def test_a_layer_that_is_called_twice_stays_one():
    inputs = keras.Input((4,))
    shared = Dense(4, name="shared")
    model = keras.Model(inputs, shared(shared(inputs)))
    x = np.ones((2, 4), np.float32)
    plain = rebuilt(model)
    assert plain.count_params() == model.count_params()
    np.testing.assert_allclose(plain(x), model(x), rtol=1e-6)
    normalization = BatchNormalization(name="both")
    model = keras.Model(inputs, normalization(normalization(inputs)))
    with pytest.raises(UserError, match="the layer 'both' is called several times, and a BatchNormalization of tfdl"):
        rebuilt(model)


def test_an_adapted_normalization_and_16_bits():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        normalization = keras.layers.Normalization()
        normalization.adapt(np.array([[1.0, 2.0], [3.0, 8.0]]))
        model = keras.Sequential([keras.Input((2,)), normalization, keras.layers.Dense(3)])
    finally:
        keras.config.set_dtype_policy("float32")
    plain = float32_model(model)
    x = np.array([[5.0, 7.0]], np.float32)
    kernel, bias = (np.asarray(value) for value in model.layers[-1].weights)
    normalized = (x - [[2.0, 5.0]]) / [[1.0, 3.0]]
    np.testing.assert_allclose(plain(x), normalized @ kernel + bias, rtol=1e-6)
    assert {layer.compute_dtype for layer in plain.layers} == {"float32"}
    assert float32_model(plain) is plain


def test_a_model_without_a_graph():
    class Subclassed(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(UserError, match="the model is a Subclassed without a graph of layers"):
        plain_outputs(Subclassed(), None)
