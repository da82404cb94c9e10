"""Exports that are asked in this process, which is quicker."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdl.export import keras_model, onnx_runtime, saved_model


def answers_of_keras(path, inputs):
    """What the program of ``keras_model`` answers."""
    model = keras.models.load_model(path)
    answers = {}
    for case, named in inputs.items():
        outputs = model(named if len(named) > 1 else next(iter(named.values())), training=False)
        answers[case] = {str(number): np.asarray(value) for number, value in enumerate(keras.tree.flatten(outputs))}
    return answers


def answers_of_onnx(path, inputs):
    """What the program of ``onnx_runtime`` answers."""
    model = onnx_runtime.OnnxModel(path)
    return {case: model(**named) for case, named in inputs.items()}


def answers_of_saved_model(path, inputs):
    """What the program of ``parity`` answers."""
    signatures = tf.saved_model.load(str(path)).signatures
    answers = {}
    for name, arguments in inputs.items():
        outputs = signatures[name](**{key: tf.constant(value) for key, value in arguments.items()})
        answers[name] = {key: np.asarray(value) for key, value in outputs.items()}
    return answers


@pytest.fixture
def quickly(monkeypatch):
    """Exports start no other process."""
    monkeypatch.setattr(saved_model, "answers_of_saved_model", answers_of_saved_model)
    monkeypatch.setattr(onnx_runtime, "answers_of_onnx", answers_of_onnx)

    def keras_process(what, program, arguments, inputs):  # noqa: ARG001
        return answers_of_keras(*arguments, inputs)

    monkeypatch.setattr(keras_model, "answers_in_clean_process", keras_process)
