"""Tasks of the user whose served model takes or returns scalars, strings, or tensors of a fixed size."""

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf

from tfdl.errors import UserError
from tfdl.export.differences import largest_difference
from tfdl.export.keras.task_model import task_model
from tfdl.export.litert import comparison
from tfdl.export.litert.choice import function_for
from tfdl.export.number_signature import number_signature
from tfdl.export.onnx.conversion import to_onnx
from tfdl.export.served_numbers import as_arrays
from tfdl.tasks import ImageClassification, Objective
from tfdl.tasks.supervised import Supervised


class Scaled(ImageClassification):
    """Takes a scalar, and returns a scalar and the sums over all samples."""

    def __init__(self):
        super().__init__((8, 8, 1), ("a", "b"), resized=False)

    def serving_signature(self):
        return {"scale": tf.TensorSpec([], name="scale"), "x": tf.TensorSpec([None, 3], name="x")}

    def serving_sample(self, count, seed=0):
        x = np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)
        return {"scale": np.float32(2), "x": x}

    def serve(self, model, scale, x):
        y = model(x) * scale
        return {"mean": tf.reduce_mean(y), "y": y, "sums": tf.reduce_sum(y, 0)}


class Named(Scaled):
    """Returns strings alone."""

    def serve(self, model, scale, x):
        return {"name": tf.strings.as_string(model(x) * scale)}


class OfUnknownRank(Scaled):
    """Returns as many axes as it is told to."""

    def serve(self, model, scale, x):
        ones = tf.ones([tf.cast(scale, tf.int32)], tf.int32)
        return {"y": tf.reshape(model(x), tf.concat([tf.shape(x)[:1], [2], ones], 0))}


@pytest.fixture
def model():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])


def in_onnx(model, task, path):  # noqa: ARG001
    return to_onnx(model, number_signature(task))


def in_litert(model, task, path):
    return comparison.written_and_compared(function_for(model, task), path)


BOTH = pytest.mark.parametrize("export", [in_onnx, in_litert])


def test_scalars_in_onnx(model):
    signature = number_signature(Scaled())
    converted, outputs = to_onnx(model, signature)
    assert {name: tensor.axes for name, tensor in signature.inputs.items()} == {"scale": (), "x": ("batch", 3)}
    assert {name: tensor.axes for name, tensor in outputs.items()} == {"mean": (), "y": ("batch", 2), "sums": (2,)}
    assert signature.compared == 64
    session = onnxruntime.InferenceSession(converted.SerializeToString())
    declared = {tensor.name: tuple(tensor.shape) for tensor in (*session.get_inputs(), *session.get_outputs())}
    assert declared == {"scale": (), "x": ("batch", 3), "mean": (), "y": ("batch", 2), "sums": (2,)}
    for inputs in signature.samples.values():
        expected = as_arrays(signature.answer(model, **inputs))
        answers = dict(zip(expected, session.run(list(expected), inputs), strict=True))
        assert largest_difference(expected, answers) <= 1e-5


@pytest.mark.parametrize("one_row", [False, True])
def test_scalars_in_litert(model, tmp_path, monkeypatch, one_row):
    monkeypatch.setattr(comparison, "has_tensor_list", lambda _: one_row)
    found = in_litert(model, Scaled(), tmp_path / "file")
    assert found.graph.one_row == one_row
    assert found.num_rows == (8 if one_row else 22)
    assert found.graph.inputs["scale"].shape == found.graph.outputs["mean"].shape == []
    assert found.graph.outputs["sums"].shape == [2]


def test_scalars_in_keras():
    x = keras.Input((3,))
    scale = keras.Input(batch_shape=(), name="scale")
    task = Supervised(Objective(loss="mse"), {"x": tf.TensorSpec([3])})
    plain = task_model(keras.Model([scale, x], keras.ops.mean(keras.layers.Dense(2)(x)) * scale), task)
    assert plain.inputs["scale"].axes == ()
    assert [tensor.axes for tensor in plain.outputs.values()] == [()]
    assert plain.compared == 64


@BOTH
def test_strings_alone(model, tmp_path, export):
    message = r"the task 'image-classification' returns strings alone \(name\), which this format does not have; export"
    with pytest.raises(UserError, match=message):
        export(model, Named(), tmp_path / "file")


@BOTH
def test_an_unknown_number_of_axes(model, tmp_path, export):
    with pytest.raises(UserError, match=r"returns 'y' with an unknown number of axes, .* tf\.ensure_shape"):
        export(model, OfUnknownRank(), tmp_path / "file")
