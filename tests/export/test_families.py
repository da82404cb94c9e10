"""Every family and task in the formats ``keras`` and ``onnx``: what is written gives the model's answers.

Those in ``litert`` are in ``test_litert_models.py``.
"""

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf

from tests.export.small_models import MODELS, small_model, task_and_config
from tfdl.export.differences import largest_difference
from tfdl.export.keras.foreign_classes import foreign_classes
from tfdl.export.keras.task_model import task_model
from tfdl.export.log_probabilities import with_log_probabilities
from tfdl.export.number_signature import number_signature
from tfdl.export.onnx import large_weights
from tfdl.export.onnx.conversion import to_onnx

SLOW = ("translation", "bert")  # their graphs take tf2onnx long

SAME_IN_ONNX = ("cnn-plain", "vit")


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in MODELS]
)
def model_and_task(request):
    task, config = task_and_config(request.param)
    return small_model(config, task), task


def test_keras(model_and_task, tmp_path):
    model, task = model_and_task
    plain = task_model(model, task)
    assert foreign_classes(plain.model) == []
    assert not [layer for layer in plain.model._flatten_layers() if not type(layer).__module__.startswith("keras.")]
    assert plain.model.count_params() == model.count_params()
    plain.model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert plain.compared >= 60
    for case, arrays in plain.samples.items():
        outputs = loaded(arrays if len(arrays) > 1 else next(iter(arrays.values())), training=False)
        (expected,) = plain.expected[case]
        np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-4)
        if plain.is_classifier:
            both = {"expected": {"0": expected}, "answers": {"0": np.asarray(outputs)}}
            assert largest_difference(**with_log_probabilities(both, "0")) <= 1e-4
    assert set(plain.outputs) == {"probabilities" if task.class_names else "logits"}


def test_onnx(model_and_task, request):
    if request.node.callspec.params["model_and_task"] in SAME_IN_ONNX:
        pytest.skip("another model here has the same operations")
    model, task = model_and_task
    signature = number_signature(task)
    converted, outputs = to_onnx(model, signature)
    assert outputs == signature.outputs
    session = onnxruntime.InferenceSession(converted.SerializeToString(), providers=["CPUExecutionProvider"])
    for described, tensors in ((signature.inputs, session.get_inputs()), (outputs, session.get_outputs())):
        assert {tensor.name: tuple(tensor.shape) for tensor in tensors} == {
            name: numbers.axes for name, numbers in described.items()
        }
    check_answers(session, signature, model)


def check_answers(session, signature, model):
    names = [tensor.name for tensor in session.get_outputs()]
    for inputs in signature.samples.values():
        answers = dict(zip(names, session.run(names, inputs), strict=True))
        answer = signature.answer(model, **{name: tf.constant(array) for name, array in inputs.items()})
        expected = {name: np.asarray(value) for name, value in answer.items()}
        found = with_log_probabilities({"expected": expected, "answers": answers}, "probabilities")
        assert largest_difference(**found) <= 1e-4


@pytest.mark.parametrize("name", ["resnet-identity", "gru-both-ways", "llama"])
def test_weights_that_stay_out_of_the_conversion(name, monkeypatch):
    """As those of large models do."""
    monkeypatch.setattr(large_weights, "LARGE", 64)
    taken = {}

    def take_out(*arguments):
        taken.update(real_take_out(*arguments))
        return dict(taken)

    real_take_out = large_weights.take_out
    monkeypatch.setattr(large_weights, "take_out", take_out)
    task, config = task_and_config(name)
    model = small_model(config, task)
    signature = number_signature(task)
    converted, _ = to_onnx(model, signature)
    assert len(taken) >= 4
    assert [tensor.name for tensor in converted.graph.input] == list(signature.inputs)
    kernels = [tensor for tensor in converted.graph.initializer if tuple(tensor.dims[1:]) == (3, 3, 3)]
    assert len(kernels) == (name == "resnet-identity")  # transposed to (filters, channels, height, width)
    session = onnxruntime.InferenceSession(converted.SerializeToString(), providers=["CPUExecutionProvider"])
    check_answers(session, signature, model)
